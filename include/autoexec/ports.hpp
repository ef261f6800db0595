#pragma once

/// The interfaces through which the executor accesses the system. Applications rarely need them;
/// tests and other transports implement them.
#include <autoexec/clock.hpp>
#include <autoexec/mailbox.hpp>
#include <autoexec/notifier.hpp>
#include <autoexec/spawner.hpp>

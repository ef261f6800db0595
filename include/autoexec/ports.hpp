#pragma once

/// The small interfaces through which the engine touches the world. Applications rarely need
/// them; tests and other transports implement them.
#include <autoexec/clock.hpp>
#include <autoexec/mailbox.hpp>
#include <autoexec/notifier.hpp>
#include <autoexec/spawner.hpp>

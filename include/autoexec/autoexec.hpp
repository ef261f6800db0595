#pragma once

/// The whole library. The headers that it includes can be included alone, and compile faster.
#include <autoexec/agent.hpp>
#include <autoexec/config.hpp>
#include <autoexec/executor.hpp>
#include <autoexec/health.hpp>
#include <autoexec/session.hpp>
#include <autoexec/version.hpp>
#include <autoexec/view.hpp>
#include <autoexec/watched_project.hpp>
#include <autoexec/workflow_executor.hpp>

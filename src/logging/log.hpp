#pragma once

#include <fmt/format.h>

/// Logs a message for operators to spdlog's default logger. The text must be redacted.
namespace autoexec::logging {

enum class LogLevel { debug, info, warning, error };

void vlog(LogLevel level, fmt::string_view format, fmt::format_args args);

template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args)
{
    vlog(level, format, fmt::make_format_args(args...));
}

}  // namespace autoexec::logging

#include "logging/log.hpp"

#include "text/text.hpp"

#include <spdlog/spdlog.h>

namespace autoexec::logging {
namespace {

spdlog::level::level_enum level_of(LogLevel level)
{
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            break;
    }
    return spdlog::level::err;
}

}  // namespace

void vlog(LogLevel level, fmt::string_view format, fmt::format_args args)
{
    auto* const logger = spdlog::default_logger_raw();
    const auto wanted = level_of(level);
    if (logger != nullptr && logger->should_log(wanted))
        // An entry is always one line, even if a path or id contains a newline.
        logger->log(wanted, text::printable(fmt::vformat(format, args)));
}

}  // namespace autoexec::logging

#include "cli/session/color.hpp"

#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "text/text.hpp"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <utility>

namespace autoexec::cli {
namespace {

enum class ColorMode { automatic, always, never };
ColorMode color_mode = ColorMode::automatic;

constexpr std::array<std::pair<std::string_view, std::string_view>, 17> state_colors{{
    {"cancelled", renditions::yellow},
    {"clean", renditions::green},
    {"completed", renditions::green},
    {"degraded", renditions::yellow},
    {"dirty", renditions::yellow},
    {"failed", renditions::red},
    {"healthy", renditions::green},
    {"input", renditions::bold_yellow},
    {"interrupted", renditions::red},
    {"manual", renditions::bold_yellow},
    {"missing", renditions::red},
    {"paused", renditions::yellow},
    {"replaced", renditions::red},
    {"retry", renditions::yellow},
    {"running", renditions::cyan},
    {"timeout", renditions::red},
    {"unhealthy", renditions::red},
}};

bool is_set(const char* variable)
{
    const char* const value = std::getenv(variable);
    return value != nullptr && *value != '\0';
}

}  // namespace

void set_color(std::string_view when)
{
    if (when.empty() || when == "auto")
        color_mode = ColorMode::automatic;
    else if (when == "always")
        color_mode = ColorMode::always;
    else if (when == "never")
        color_mode = ColorMode::never;
    else
        fail(exit_usage, "--color: invalid value '{}'; use auto, always or never", when);
}

bool shows_color(int fd)
{
    if (color_mode != ColorMode::automatic) return color_mode == ColorMode::always;
    const char* const term = std::getenv("TERM");
    return term != nullptr && std::string_view(term) != "dumb" && !is_set("NO_COLOR") &&
           ::isatty(fd) == 1;
}

std::string with_rendition(std::string_view text, std::string_view rendition)
{
    if (rendition.empty()) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[m", rendition, text);
}

std::string_view rendition_of_state(std::string_view state) noexcept
{
    for (const auto& [word, rendition] : state_colors)
        if (word == state) return rendition;
    return {};
}

std::string colored_state(std::string_view state, std::size_t width, int fd)
{
    const auto rendition = rendition_of_state(state);
    auto text = cell(state, width);
    if (rendition.empty() || !shows_color(fd)) return text;
    const auto word = text.substr(0, text.find_last_not_of(' ') + 1);
    return with_rendition(word, rendition) + text.substr(word.size());
}

}  // namespace autoexec::cli

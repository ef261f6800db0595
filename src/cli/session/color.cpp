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

constexpr std::string_view red_text = "31";
constexpr std::string_view green_text = "32";
constexpr std::string_view yellow_text = "33";
constexpr std::string_view bold_yellow_text = "1;33";
constexpr std::string_view cyan_text = "36";

constexpr std::array<std::pair<std::string_view, std::string_view>, 17> state_colors{{
    {"cancelled", yellow_text},
    {"clean", green_text},
    {"completed", green_text},
    {"degraded", yellow_text},
    {"dirty", yellow_text},
    {"failed", red_text},
    {"healthy", green_text},
    {"input", bold_yellow_text},
    {"interrupted", red_text},
    {"manual", bold_yellow_text},
    {"missing", red_text},
    {"paused", yellow_text},
    {"replaced", red_text},
    {"retry", yellow_text},
    {"running", cyan_text},
    {"timeout", red_text},
    {"unhealthy", red_text},
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

std::string_view rendition_of_state(std::string_view state) noexcept
{
    for (const auto& [word, rendition] : state_colors)
        if (word == state) return rendition;
    return {};
}

std::string colored_state(std::string_view state, std::size_t width, int fd)
{
    const auto rendition = rendition_of_state(state);
    const auto text = cell(state, width);
    if (rendition.empty() || !shows_color(fd)) return text;
    const auto word = text.substr(0, text.find_last_not_of(' ') + 1);
    return fmt::format("\x1b[{}m{}\x1b[m{}", rendition, word, text.substr(word.size()));
}

}  // namespace autoexec::cli

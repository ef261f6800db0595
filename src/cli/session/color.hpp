#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Colours repeat what words say, so nothing is lost without them.
namespace autoexec::cli {

/// `auto`, which is the default, `always` or `never`. Throws `Failure` if it is none of them.
void set_color(std::string_view when);

/// Whether what is written there is coloured. By default, if it is a terminal, unless `NO_COLOR` is
/// set (no-color.org) or the terminal is dumb.
bool shows_color(int fd);

/// Parameters of graphic renditions.
namespace renditions {
inline constexpr std::string_view bold = "1";
inline constexpr std::string_view red = "31";
inline constexpr std::string_view green = "32";
inline constexpr std::string_view yellow = "33";
inline constexpr std::string_view bold_yellow = "1;33";
inline constexpr std::string_view cyan = "36";
}  // namespace renditions

/// The text in this rendition; empty: the usual one. Pure.
std::string with_rendition(std::string_view text, std::string_view rendition);

/// The parameters of a graphic rendition for a state, such as `failed`; empty: the usual one. Pure.
std::string_view rendition_of_state(std::string_view state) noexcept;

/// The state in `width` columns, as it is written there.
std::string colored_state(std::string_view state, std::size_t width, int fd);

}  // namespace autoexec::cli

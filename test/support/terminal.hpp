#pragma once

#include "support/project.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::test {

inline constexpr char ctrl_c[] = "\x03";

/// What a person sees after all that was sent: the few control sequences that the program uses,
/// and nothing else.
std::vector<std::string> shown(const std::string& sent);

/// What a person sees of a program that uses the whole terminal.
struct FullScreenView {
    bool entered = false;  ///< It shows its own screen, not that of the shell.
    bool cursor = true;
    std::vector<std::string> lines;  ///< Without spaces at their ends.

    [[nodiscard]] bool has(std::string_view part) const;
};

/// After all that was sent: the few control sequences that such a program uses, and nothing else.
FullScreenView full_screen(const std::string& sent);

std::size_t count_of(const std::vector<std::string>& lines, std::string_view part);

Start on_terminal(const Project& project, Words words);

}  // namespace autoexec::test

#pragma once

#include "programs/known_programs.hpp"

#include <span>
#include <string>

namespace autoexec::agent {

enum class Comments { none, all };

/// An agents file with one agent for each program.
[[nodiscard]] std::string agents_file_text(std::span<const programs::KnownProgram* const> chosen,
                                           Comments comments);

}  // namespace autoexec::agent

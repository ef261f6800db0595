#pragma once

#include <chrono>
#include <string>
#include <string_view>

/// The ref names and commit messages of salvages. Pure.
namespace autoexec::git {

constexpr std::string_view salvage_refs = "refs/autoexec/salvage/";

/// `refs/autoexec/salvage/<tree>/<yyyymmdd-HHMMSS-micro>`, UTC.
std::string salvage_ref(std::string_view tree, std::chrono::system_clock::time_point time);

/// Returns false if it is not a salvage.
bool read_salvage_ref(std::string_view ref, std::string& tree,
                      std::chrono::system_clock::time_point& time);

struct SalvageNote {
    std::string tree;  ///< The worktree's name.
    std::string reason;
    std::string path;
    std::string branch;
    std::string head;   ///< The commit that was checked out.
    std::string index;  ///< The commit of the staged content.
};

/// A subject, the reason, and a last paragraph of `Name: value`.
std::string salvage_message(const SalvageNote& record);
SalvageNote read_salvage_message(std::string_view message);

}  // namespace autoexec::git

#pragma once

#include <span>
#include <string_view>

/// Keys of version 1.0 that have another name now. They are still read, with a warning.
namespace autoexec::config {

struct Rename {
    std::string_view before;  ///< `clocks.start_seconds`
    std::string_view now;     ///< `timeouts.start_seconds`
};

std::span<const Rename> renames() noexcept;

/// Null if the key has no new name.
const Rename* find_rename(std::string_view before);

/// True for `clocks`, which was the section of renamed keys.
bool is_former_section(std::string_view key);

/// `retry` of `retry.enabled`; empty at the top.
std::string_view section_of(std::string_view key);
/// `enabled` of `retry.enabled`.
std::string_view name_of(std::string_view key);

}  // namespace autoexec::config

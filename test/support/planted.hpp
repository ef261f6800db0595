#pragma once

#include <array>
#include <filesystem>
#include <string_view>

namespace autoexec::test {

/// What somebody could put where a file is expected.
enum class Planted { link, dangling_link, fifo, socket, device, directory };

inline constexpr std::array all_planted = {Planted::link,   Planted::dangling_link,
                                           Planted::fifo,   Planted::socket,
                                           Planted::device, Planted::directory};

std::string_view name_of(Planted kind);

/// Puts it at `path`; `target` is where links lead. False where this user may not.
bool plant(Planted kind, const std::filesystem::path& path, const std::filesystem::path& target);

}  // namespace autoexec::test

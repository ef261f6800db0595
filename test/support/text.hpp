#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::test {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

bool contains(std::string_view text, std::string_view part);
std::vector<std::string> lines_of(const std::string& text);
/// With a space between them.
std::string joined(const Words& words);
std::string base64(std::string_view bytes);

}  // namespace autoexec::test

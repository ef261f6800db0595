#include "support/temporary_folder.hpp"

#include "support/text.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace autoexec::test {

TemporaryFolder::TemporaryFolder()
{
    std::string pattern =
        (std::filesystem::temp_directory_path() / "autoexec-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = std::filesystem::canonical(pattern);
}

TemporaryFolder::~TemporaryFolder()
{
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TemporaryFolder::operator/(std::string_view name) const
{
    return path_ / name;
}

std::string TemporaryFolder::read(const std::filesystem::path& name) const
{
    return read_file(path_ / name);
}

std::vector<std::string> TemporaryFolder::lines(const std::filesystem::path& name) const
{
    return lines_of(read(name));
}

void TemporaryFolder::write(const std::filesystem::path& name, std::string_view text) const
{
    write_file(path_ / name, text);
}

void write_file(const std::filesystem::path& path, std::string_view text)
{
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary)
        .write(text.data(), static_cast<std::streamsize>(text.size()));
}

std::string read_file(const std::filesystem::path& path)
{
    // Not by the buffer's iterators: those throw for a file of /proc whose process has just ended.
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return std::move(text).str();
}

}  // namespace autoexec::test

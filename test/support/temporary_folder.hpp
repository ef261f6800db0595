#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::test {

/// A folder of the test's own, removed at its end.
class TemporaryFolder {
public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const;

    [[nodiscard]] std::string read(const std::filesystem::path& name) const;
    [[nodiscard]] std::vector<std::string> lines(const std::filesystem::path& name) const;
    void write(const std::filesystem::path& name, std::string_view text) const;

private:
    std::filesystem::path path_;
};

void write_file(const std::filesystem::path& path, std::string_view text);
std::string read_file(const std::filesystem::path& path);

}  // namespace autoexec::test

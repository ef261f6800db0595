#include "executor/free_resources.hpp"

#include "files/safe_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>

namespace autoexec::executor {
namespace {

constexpr std::uint64_t kibibyte = 1024;
constexpr std::uint64_t mebibyte = kibibyte * 1024;

std::optional<std::uint64_t> free_memory()
{
    const files::UniqueFd file(::open("/proc/meminfo", O_RDONLY | O_CLOEXEC));
    std::array<char, 4096> buffer{};
    const auto size = file ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
    if (size <= 0) return std::nullopt;
    std::string_view text(buffer.data(), static_cast<std::size_t>(size));
    constexpr std::string_view key = "MemAvailable:";
    const auto at = text.find(key);
    if (at == text.npos) return std::nullopt;
    text.remove_prefix(at + key.size());
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    std::uint64_t kilobytes = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), kilobytes);
    if (ec != std::errc{}) return std::nullopt;
    return kilobytes * kibibyte;
}

std::string sentence(std::string_view what, std::uint64_t free, std::uint64_t minimum,
                     std::string_view setting)
{
    return fmt::format("{} MiB of {} are free; at least {} MiB are required ({})", free / mebibyte,
                       what, (minimum + mebibyte - 1) / mebibyte, setting);
}

}  // namespace

FreeResources free_resources(const std::filesystem::path& folder)
{
    FreeResources free;
    free.memory_bytes = free_memory();
    struct statvfs disk {};
    if (::statvfs(folder.c_str(), &disk) == 0)
        free.disk_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    return free;
}

std::string shortage_of(const FreeResources& free, const ExecutionOptions& options)
{
    if (free.memory_bytes.value_or(options.min_free_memory_bytes) < options.min_free_memory_bytes)
        return sentence("memory", *free.memory_bytes, options.min_free_memory_bytes,
                        "limits.min_free_memory_bytes");
    if (free.disk_bytes.value_or(options.min_free_disk_bytes) < options.min_free_disk_bytes)
        return sentence("the project's disk", *free.disk_bytes, options.min_free_disk_bytes,
                        "limits.min_free_disk_bytes");
    return {};
}

}  // namespace autoexec::executor

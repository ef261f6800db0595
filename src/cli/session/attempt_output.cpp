#include "cli/session/attempt_output.hpp"

#include "records/log_file.hpp"

#include <unistd.h>

#include <array>

namespace autoexec::cli {

AttemptOutput::AttemptOutput(const std::filesystem::path& root, std::string_view attempt_id,
                             bool raw)
    : root_(root),
      name_(text::file_name_of(attempt_id) + ".log"),
      raw_(raw || ::isatty(STDOUT_FILENO) != 1)
{}

bool AttemptOutput::open()
{
    if (file_) return true;
    error_code ec;
    const auto folder = records::Folder::of({}, root_, "output").open(ec);
    if (folder) file_ = records::Folder::open_log(folder.get(), name_, ec);
    return static_cast<bool>(file_);
}

bool AttemptOutput::copy_new()
{
    if (!open()) return true;
    std::array<char, 65536> buffer;
    for (;;) {
        const auto n = ::read(file_.get(), buffer.data(), buffer.size());
        if (n <= 0) return true;
        if (!write({buffer.data(), static_cast<std::size_t>(n)})) return false;
    }
}

void AttemptOutput::finish()
{
    if (!raw_) (void)files::write_all(STDOUT_FILENO, safe_.finish());
}

bool AttemptOutput::write(std::string_view bytes)
{
    return !files::write_all(STDOUT_FILENO, raw_ ? std::string(bytes) : safe_.feed(bytes));
}

}  // namespace autoexec::cli

#include "cli/session/attempt_output.hpp"

#include "cli/session/output.hpp"
#include "records/log_file.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::cli {
namespace {

constexpr std::size_t block_size = 65536;
// Longer lines are copied in parts.
constexpr std::size_t max_line = 1024 * 1024;

bool write_to_stdout(std::string_view text)
{
    const auto ec = files::write_all(STDOUT_FILENO, text);
    record_result_error(ec.value());
    return !ec;
}

}  // namespace

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
    if (file_ && tail_) (void)::lseek(file_.get(), begin_of_tail(*tail_), SEEK_SET);
    return static_cast<bool>(file_);
}

bool AttemptOutput::copy_new()
{
    if (!open()) return true;
    std::array<char, block_size> buffer;
    for (;;) {
        const auto n = ::read(file_.get(), buffer.data(), buffer.size());
        if (n <= 0) return true;
        if (!write({buffer.data(), static_cast<std::size_t>(n)})) return false;
    }
}

void AttemptOutput::finish()
{
    if (!raw_ || !prefix_.empty()) (void)write_lines(raw_ ? "" : safe_.finish(), true);
}

// The end of the last line begins no line.
off_t AttemptOutput::begin_of_tail(std::size_t lines) const
{
    const auto size = ::lseek(file_.get(), 0, SEEK_END);
    if (lines == 0) return size;
    std::array<char, block_size> buffer;
    for (auto end = size; end > 0;) {
        const auto length = std::min(end, static_cast<off_t>(buffer.size()));
        const auto begin = end - length;
        if (::pread(file_.get(), buffer.data(), static_cast<std::size_t>(length), begin) != length)
            return 0;
        for (; end > begin; --end) {
            const bool is_line_end = buffer[static_cast<std::size_t>(end - 1 - begin)] == '\n';
            if (is_line_end && end < size && --lines == 0) return end;
        }
    }
    return 0;
}

bool AttemptOutput::write(std::string_view bytes)
{
    return write_lines(raw_ ? std::string(bytes) : safe_.feed(bytes), false);
}

bool AttemptOutput::write_lines(std::string text, bool is_end)
{
    if (prefix_.empty()) return write_to_stdout(text);
    line_ += text;
    std::string lines;
    std::size_t begin = 0;
    for (auto end = line_.find('\n'); end != line_.npos; end = line_.find('\n', begin)) {
        lines += prefix_ + line_.substr(begin, end + 1 - begin);
        begin = end + 1;
    }
    line_.erase(0, begin);
    if (!line_.empty() && (is_end || line_.size() > max_line))
        lines += prefix_ + std::exchange(line_, {}) + '\n';
    return write_to_stdout(lines);
}

}  // namespace autoexec::cli

#include "agent/output_log.hpp"

#include "logging/log.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::agent {
namespace {

constexpr std::string_view cut_mark = "\n[autoexec: the rest of the output is not kept]\n";
constexpr std::size_t max_line = 500;

files::UniqueFd create(const records::Folder& place, const std::string& name)
{
    error_code ec;
    const auto folder = place.create(ec);
    auto file =
        folder ? records::Folder::open_to_append(folder.get(), name, ec) : files::UniqueFd();
    if (ec)
        logging::log(logging::LogLevel::warning, "the command's output is not kept in {}: {}",
                     (place.path() / name).string(), ec.message());
    return file;
}

}  // namespace

OutputLog::OutputLog(const std::filesystem::path& project_root, const std::string& name,
                     std::shared_ptr<const Redactor> redactor, std::size_t max_file,
                     std::size_t tail_limit)
    : folder_(records::Folder::of({}, project_root, "output")),
      name_(name),
      file_(max_file > 0 ? create(folder_, name_) : files::UniqueFd()),
      file_left_(max_file),
      tail_limit_(tail_limit),
      out_(redactor),
      err_(std::move(redactor))
{}

void OutputLog::append(OutputStream stream, std::string_view chunk)
{
    write(stream, (stream == OutputStream::standard_output ? out_ : err_).feed(chunk));
}

void OutputLog::finish()
{
    write(OutputStream::standard_output, out_.finish());
    write(OutputStream::standard_error, err_.finish());
    if (file_ && total_ > 0 && !is_in_place()) restore();
    file_ = files::UniqueFd();
}

void OutputLog::write(OutputStream stream, std::string_view text)
{
    if (text.empty()) return;
    total_ += text.size();
    (stream == OutputStream::standard_output ? out_line_ : err_line_).feed(text);

    tail_.append(text);
    if (tail_.size() > 2 * tail_limit_) tail_.erase(0, tail_.size() - tail_limit_);

    if (!file_ || full_) return;
    const auto part = text.substr(0, file_left_);
    file_left_ -= part.size();
    // On a full disk the log is lost, but the command continues.
    const bool failed = static_cast<bool>(files::write_all(file_.get(), part));
    if (!failed && part.size() == text.size()) return;
    (void)files::write_all(file_.get(), cut_mark);
    full_ = true;
}

bool OutputLog::is_in_place() const
{
    error_code ec;
    const auto folder = folder_.open(ec);
    struct stat there {};
    struct stat ours {};
    return !ec && ::fstatat(folder.get(), name_.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ::fstat(file_.get(), &ours) == 0 && there.st_ino == ours.st_ino &&
           there.st_dev == ours.st_dev;
}

void OutputLog::restore()
{
    const auto copy = create(folder_, name_);
    std::array<char, 65536> buffer;
    off_t at = 0;
    while (copy) {
        const auto size = ::pread(file_.get(), buffer.data(), buffer.size(), at);
        if (size <= 0) break;
        const std::string_view part(buffer.data(), static_cast<std::size_t>(size));
        if (files::write_all(copy.get(), part)) break;
        at += size;
    }
}

std::string OutputLog::tail() const
{
    return text::valid_utf8(text::tail(tail_, tail_limit_));
}

std::string OutputLog::last_line() const
{
    return out_line_.shown();
}

std::string OutputLog::last_error_line() const
{
    return err_line_.shown();
}

std::string OutputLog::Line::shown() const
{
    return text::printable(text::valid_utf8(current.empty() ? last : current));
}

void OutputLog::Line::feed(std::string_view text)
{
    for (const char c : text) {
        if (c != '\n') {
            if (current.size() < max_line) current.push_back(c);
        } else if (!current.empty()) {
            last = std::exchange(current, {});
        }
    }
}

}  // namespace autoexec::agent

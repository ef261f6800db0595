#include "agent/output_log.hpp"

#include "platform/log.hpp"
#include "protocol/text.hpp"
#include "records/log_file.hpp"

#include <algorithm>

namespace autoexec::agent {
namespace {

constexpr std::string_view cut_mark = "\n[autoexec: the rest of the output is not kept]\n";
constexpr std::size_t most_line = 500;

platform::UniqueFd create(const std::filesystem::path& project_root, const std::string& name)
{
    error_code ec;
    const auto place = records::Folder::of({}, project_root, "output");
    const auto folder = place.create(ec);
    auto file =
        folder ? records::Folder::open_to_append(folder.get(), name, ec) : platform::UniqueFd();
    if (ec)
        platform::log(platform::LogLevel::warning, "the command's output is not kept in {}: {}",
                      (place.path() / name).string(), ec.message());
    return file;
}

}  // namespace

OutputLog::OutputLog(const std::filesystem::path& project_root, const std::string& name,
                     std::shared_ptr<const Redactor> redactor, std::size_t file_limit,
                     std::size_t tail_limit)
    : file_(create(project_root, name)),
      file_left_(file_limit),
      tail_limit_(tail_limit),
      out_(redactor),
      err_(std::move(redactor))
{}

void OutputLog::take(OutputStream stream, std::string_view chunk)
{
    write(stream, (stream == OutputStream::standard_output ? out_ : err_).feed(chunk));
}

void OutputLog::finish()
{
    write(OutputStream::standard_output, out_.finish());
    write(OutputStream::standard_error, err_.finish());
}

void OutputLog::write(OutputStream stream, std::string_view text)
{
    if (text.empty()) return;
    total_ += text.size();
    (stream == OutputStream::standard_output ? out_line_ : err_line_).feed(text);

    tail_.append(text);
    if (tail_.size() > 2 * tail_limit_) tail_.erase(0, tail_.size() - tail_limit_);

    if (!file_) return;
    const auto part = text.substr(0, file_left_);
    file_left_ -= part.size();
    // A full disk costs the log, not the command.
    const bool failed = static_cast<bool>(platform::write_all(file_.get(), part));
    if (!failed && part.size() == text.size()) return;
    (void)platform::write_all(file_.get(), cut_mark);
    file_ = platform::UniqueFd();
}

std::string OutputLog::tail() const
{
    return protocol::valid_utf8(protocol::tail(tail_, tail_limit_));
}

std::string OutputLog::last_words() const
{
    for (const auto* line : {&err_line_, &out_line_}) {
        const auto& words = line->current.empty() ? line->last : line->current;
        if (!words.empty()) return protocol::printable(protocol::valid_utf8(words));
    }
    return {};
}

void OutputLog::Line::feed(std::string_view text)
{
    for (const char c : text) {
        if (c != '\n') {
            if (current.size() < most_line) current.push_back(c);
        } else if (!current.empty()) {
            last = std::exchange(current, {});
        }
    }
}

}  // namespace autoexec::agent

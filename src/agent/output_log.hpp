#pragma once

#include "autoexec/file.hpp"
#include "autoexec/process.hpp"
#include "autoexec/redaction.hpp"
#include "files/safe_files.hpp"
#include "records/log_file.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace autoexec::agent {

/// The redacted output of a command: written to a file up to a limit; its tail is kept in memory.
class OutputLog {
public:
    /// Appends to `<project_root>/.tapps-agents/output/<name>`, unless `file_limit` is zero.
    OutputLog(const std::filesystem::path& project_root, const std::string& name,
              std::shared_ptr<const Redactor> redactor, std::size_t file_limit,
              std::size_t tail_limit);

    void append(OutputStream stream, std::string_view chunk);

    /// Writes the text that redaction held back, and the whole file again if the command has
    /// removed or moved it. Do not call `append` afterwards.
    void finish();

    [[nodiscard]] std::string tail() const;
    [[nodiscard]] bool truncated() const noexcept { return total_ > tail_limit_; }
    [[nodiscard]] std::size_t total() const noexcept { return total_; }
    /// The last non-empty line of standard output.
    [[nodiscard]] std::string last_line() const;
    /// Of standard error.
    [[nodiscard]] std::string last_error_line() const;

private:
    struct Line {
        std::string current;
        std::string last;
        void feed(std::string_view text);
        [[nodiscard]] std::string shown() const;
    };

    void write(OutputStream stream, std::string_view text);
    [[nodiscard]] bool is_in_place() const;
    void restore();

    records::Folder folder_;
    std::string name_;
    files::UniqueFd file_;
    bool full_ = false;
    std::size_t file_left_;
    std::size_t tail_limit_;
    std::size_t total_ = 0;
    std::string tail_;
    Redactor::Stream out_;
    Redactor::Stream err_;
    Line out_line_;
    Line err_line_;
};

}  // namespace autoexec::agent

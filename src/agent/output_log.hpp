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

/// What a command prints: redacted, to a file up to a limit, and the tail of it in memory.
class OutputLog {
public:
    /// Appends to `<project_root>/.tapps-agents/output/<name>`.
    OutputLog(const std::filesystem::path& project_root, const std::string& name,
              std::shared_ptr<const Redactor> redactor, std::size_t file_limit,
              std::size_t tail_limit);

    void take(OutputStream stream, std::string_view chunk);

    /// Writes what redaction held back, and the whole file again if a command has removed or moved
    /// it. `take` must not be called afterwards.
    void finish();

    [[nodiscard]] std::string tail() const;
    [[nodiscard]] bool truncated() const noexcept { return total_ > tail_limit_; }
    [[nodiscard]] std::size_t total() const noexcept { return total_; }
    /// The last line on standard error that is not empty, else on standard output.
    [[nodiscard]] std::string last_words() const;

private:
    struct Line {
        std::string current;
        std::string last;
        void feed(std::string_view text);
    };

    void write(OutputStream stream, std::string_view text);
    [[nodiscard]] bool is_in_place() const;
    void restore();

    records::Folder place_;
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

#pragma once

#include "files/safe_files.hpp"
#include "text/text.hpp"

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::cli {

/// The recorded output of an attempt, copied to standard output. On a terminal, control characters
/// are made visible, unless it is `raw`; a file or another program gets the bytes unchanged.
class AttemptOutput {
public:
    AttemptOutput(const std::filesystem::path& root, std::string_view attempt_id, bool raw);

    /// Begins each line; lines are then copied as a whole.
    void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }
    /// Begins with the last `lines` lines.
    void set_tail(std::size_t lines) { tail_ = lines; }

    /// False if there is no such file yet.
    bool open();

    /// Copies what has been written since. False when nothing can be written to standard output any
    /// more: `result_error` has the reason.
    bool copy_new();

    /// Copies the rest of an incomplete line or character.
    void finish();

private:
    [[nodiscard]] off_t begin_of_tail(std::size_t lines) const;
    bool write(std::string_view bytes);
    bool write_lines(std::string text, bool is_end);

    std::filesystem::path root_;
    std::string name_;
    files::UniqueFd file_;
    bool raw_;
    std::string prefix_;
    std::optional<std::size_t> tail_;
    std::string line_;  // the beginning of a line, with a prefix
    text::PrintableStream safe_;
};

}  // namespace autoexec::cli

#pragma once

#include "files/safe_files.hpp"
#include "text/text.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace autoexec::cli {

/// The recorded output of an attempt, copied to standard output. On a terminal, control characters
/// are made visible, unless it is `raw`; a file or another program gets the bytes unchanged.
class AttemptOutput {
public:
    AttemptOutput(const std::filesystem::path& root, std::string_view attempt_id, bool raw);

    /// False if there is no such file yet.
    bool open();

    /// Copies what has been written since. False when the reader of standard output has ended.
    bool copy_new();

    /// Copies the rest of an incomplete character.
    void finish();

private:
    bool write(std::string_view bytes);

    std::filesystem::path root_;
    std::string name_;
    files::UniqueFd file_;
    bool raw_;
    text::PrintableStream safe_;
};

}  // namespace autoexec::cli

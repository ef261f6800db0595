#include "protocol/command_file.hpp"
#include "protocol/question_format.hpp"
#include "protocol/record_lines.hpp"
#include "text/text.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace autoexec::protocol;
using namespace autoexec::text;

namespace {

void check(bool holds)
{
    if (!holds) std::abort();
}

void fuzz_command(std::string_view text)
{
    std::string problem;
    const auto file = parse_command(text, problem);
    check(file.has_value() == problem.empty());
    if (!file) return;
    const auto written = format_command(*file);
    // Escaping may take it over the limit; then it is refused, and rightly.
    if (written.size() > command_file_limit) return;
    const auto again = parse_command(written, problem);
    check(again && format_command(*again) == written && again->command == file->command &&
          again->argv == file->argv);
}

void fuzz_lines(std::string_view text)
{
    if (const auto cancel = parse_cancel(text))
        check(parse_cancel(format_cancel(*cancel))->attempt_id == cancel->attempt_id);
    if (const auto answer = parse_answer(text)) {
        const auto again = parse_answer(format_answer(*answer));
        check(again && again->answer == answer->answer && again->digest == answer->digest);
    }
    if (const auto metric = parse_metric(text))
        check(parse_metric(format_metric(*metric)) == metric);
    parse_audit(text);
}

void fuzz_text(std::string_view text)
{
    const auto valid = valid_utf8(text);
    check(valid_utf8(valid) == valid);
    const auto name = file_name_of(text);
    check(!name.empty() && name.size() <= 128 && name.find('/') == name.npos && name[0] != '.');
    check(printable(text).find('\x1b') == std::string::npos);
    if (const auto time = parse_iso(text)) check(iso_utc(*time).ends_with("+00:00"));
    parse_duration(text);
    std::string problem;
    if (const auto words = split_words(text, problem))
        check(split_words(quote_words(*words), problem) == words);
}

}  // namespace

/// No text crashes a reader, and what one made of it survives being written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    fuzz_command(text);
    fuzz_lines(text);
    fuzz_text(text);
    return 0;
}

#include "protocol/metric_reader.hpp"

#include "protocol/record_lines.hpp"
#include "protocol/usage.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

namespace autoexec::protocol {
namespace {

// Whether a text has control characters or bytes outside ASCII.
bool has_unusual_bytes(std::string_view text)
{
    const auto is_unusual = [](char c) { return static_cast<signed char>(c) < ' '; };
    // Of a fixed number of bytes at a time, compilers look at many at once.
    constexpr std::size_t block = 64;
    const auto any_in_block = [&](const char* bytes) {
        unsigned found = 0;
        for (std::size_t i = 0; i < block; ++i) found |= is_unusual(bytes[i]) ? 1U : 0U;
        return found != 0;
    };
    if (text.size() < block) return std::any_of(text.begin(), text.end(), is_unusual);
    for (std::size_t at = 0; at + block < text.size(); at += block)
        if (any_in_block(text.data() + at)) return true;
    return any_in_block(text.data() + text.size() - block);
}

std::uint64_t eight_bytes(const char* from)
{
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

// Most of the time is spent here. Compilers call `memcmp` for most sizes, even if they are known.
template <std::size_t Size>
bool is_equal(const char* a, const char* b)
{
    constexpr std::size_t word = sizeof(std::uint64_t);
    if constexpr (Size < word) {
        return std::memcmp(a, b, Size) == 0;
    } else {
        // The last word overlaps the one before.
        auto differences = eight_bytes(a + Size - word) ^ eight_bytes(b + Size - word);
        for (std::size_t at = 0; at + word < Size; at += word)
            differences |= eight_bytes(a + at) ^ eight_bytes(b + at);
        return differences == 0;
    }
}

/// A member's name as it is written after another member.
template <std::size_t Size>
struct Key {
    consteval explicit Key(const char (&name)[Size])
    {
        const auto name_end = std::copy(name, name + Size - 1, written.begin() + 3);
        std::copy_n(", \"", 3, written.begin());
        std::copy_n("\": ", 3, name_end);
    }

    static constexpr std::size_t separator = 2;
    static constexpr std::size_t size = Size + 5;
    std::array<char, size> written{};
};

/// Reads an object as `text::JsonLine` writes it: in ASCII, with one space after a colon or a
/// comma. Its members are read one after the other, by those who know their order. What returns
/// false has found something else; then the rest cannot be read.
class LineScanner {
public:
    /// `unescaped` receives the texts that have escapes.
    LineScanner(std::string_view line, std::string& unescaped)
        : line_(line), first_escape_(line.find('\\')), unescaped_(unescaped)
    {
        unescaped_.clear();
        unescaped_.reserve(line.size());  // so that it never moves
    }

    bool open()
    {
        is_first_ = skip("{");
        return is_first_;
    }
    bool close()
    {
        is_first_ = false;
        return skip("}");
    }
    /// True if the object and the line end here.
    [[nodiscard]] bool ends() const { return rest() == "}"; }

    /// False: the next member is another one, and can still be read.
    template <std::size_t Size>
    bool key(const Key<Size>& name)
    {
        constexpr auto size = Key<Size>::size;
        constexpr auto separator = Key<Size>::separator;
        const auto* const begin = name.written.data();
        const bool found =
            is_first_ ? skip<size - separator>(begin + separator) : skip<size>(begin);
        is_first_ = is_first_ && !found;
        return found;
    }

    bool null() { return skip("null"); }

    bool text(std::string_view& out)
    {
        if (!skip("\"")) return false;
        const auto quote = line_.find('"', at_);
        if (quote >= first_escape_) return escaped_text(out);
        out = line_.substr(at_, quote - at_);
        at_ = quote + 1;
        return true;
    }
    /// null is an empty text.
    bool text_or_null(std::string_view& out) { return null() || text(out); }

    /// Without an exponent.
    bool number(double& out)
    {
        const auto whole = count_digits(at_);
        const auto fraction = line_.substr(at_ + whole).starts_with('.')
                                  ? count_digits(at_ + whole + 1)
                                  : std::size_t{0};
        if (fraction == 0 || !is_whole(whole)) return false;
        const auto* const begin = line_.data() + at_;
        at_ += whole + 1 + fraction;
        return std::from_chars(begin, line_.data() + at_, out).ec == std::errc{};
    }

    template <class Number>
    bool whole(Number& out, std::int64_t max)
    {
        const auto digits = count_digits(at_);
        if (!is_whole(digits)) return false;
        std::int64_t value = 0;
        const auto* const begin = line_.data() + at_;
        at_ += digits;
        const auto ec = std::from_chars(begin, line_.data() + at_, value).ec;
        out = static_cast<Number>(value);
        return ec == std::errc{} && value <= max;
    }

    bool truth(bool& out)
    {
        out = skip("true");
        return out || skip("false");
    }

private:
    [[nodiscard]] std::string_view rest() const { return line_.substr(at_); }

    template <std::size_t Size>
    bool skip(const char (&expected)[Size])
    {
        return skip<Size - 1>(&expected[0]);
    }
    template <std::size_t Size>
    bool skip(const char* expected)
    {
        if (line_.size() - at_ < Size) return false;
        if (!is_equal<Size>(line_.data() + at_, expected)) return false;
        at_ += Size;
        return true;
    }

    [[nodiscard]] std::size_t count_digits(std::size_t at) const
    {
        const auto begin = at;
        while (at < line_.size() && line_[at] >= '0' && line_[at] <= '9') ++at;
        return at - begin;
    }
    /// JSON has no leading zeros.
    [[nodiscard]] bool is_whole(std::size_t digits) const
    {
        return digits == 1 || (digits > 1 && line_[at_] != '0');
    }

    // After the opening quote.
    bool escaped_text(std::string_view& out)
    {
        const auto begin = unescaped_.size();
        auto quote = line_.find('"', at_);
        for (auto escape = line_.find('\\', at_); escape < quote; escape = line_.find('\\', at_)) {
            unescaped_.append(line_, at_, escape - at_);
            at_ = escape + 1;
            if (!unescape()) return false;
            if (quote < at_) quote = line_.find('"', at_);
        }
        if (quote == line_.npos) return false;
        unescaped_.append(line_, at_, quote - at_);
        out = std::string_view(unescaped_).substr(begin);
        at_ = quote + 1;
        return true;
    }

    // What follows a backslash.
    bool unescape()
    {
        static constexpr std::string_view names = "\"\\/bfnrt";
        static constexpr std::string_view values = "\"\\/\b\f\n\r\t";
        if (skip("u")) return unescape_code_point();
        const auto found = at_ < line_.size() ? names.find(line_[at_]) : names.npos;
        if (found == names.npos) return false;
        unescaped_ += values[found];
        ++at_;
        return true;
    }
    bool unescape_code_point()
    {
        const auto first = code_unit();
        if (!first) return false;
        if (*first < 0xD800 || *first > 0xDFFF) return text::append_utf8(unescaped_, *first), true;
        if (*first > 0xDBFF || !skip("\\u")) return false;
        const auto second = code_unit();
        if (!second || *second < 0xDC00 || *second > 0xDFFF) return false;
        text::append_utf8(unescaped_, 0x10000 + ((*first - 0xD800) << 10) + (*second - 0xDC00));
        return true;
    }
    std::optional<char32_t> code_unit()
    {
        std::uint32_t unit = 0;
        const auto digits = line_.substr(at_, 4);
        const auto* const end = digits.data() + digits.size();
        const auto [stop, ec] = std::from_chars(digits.data(), end, unit, 16);
        if (digits.size() < 4 || ec != std::errc{} || stop != end) return std::nullopt;
        at_ += 4;
        return unit;
    }

    std::string_view line_;
    std::size_t at_ = 0;
    bool is_first_ = false;  // of an object's members
    std::size_t first_escape_;
    std::string& unescaped_;
};

bool scan_usage(LineScanner& scanner, MetricLine& line, Usage& usage)
{
    const auto count = [&scanner](const auto& key, std::optional<std::int64_t>& out) {
        return !scanner.key(key) || scanner.whole(out.emplace(), max_usage_count);
    };
    const auto amount = [&scanner](const auto& key, std::optional<double>& out) {
        return !scanner.key(key) || (scanner.number(out.emplace()) && *out <= max_usage_amount);
    };
    const auto flag = [&scanner](const auto& key, bool& out) {
        return !scanner.key(key) || scanner.truth(out);
    };
    std::optional<double> cpu;
    const bool has_amounts = scanner.open() && count(Key("input_tokens"), usage.input_tokens) &&
                             count(Key("output_tokens"), usage.output_tokens) &&
                             count(Key("cache_read_tokens"), usage.cache_read_tokens) &&
                             count(Key("cache_write_tokens"), usage.cache_write_tokens) &&
                             count(Key("reasoning_tokens"), usage.reasoning_tokens) &&
                             amount(Key("cost_usd"), usage.cost_usd) &&
                             (!scanner.key(Key("model")) || scanner.text(line.model)) &&
                             amount(Key("cpu_seconds"), cpu) &&
                             count(Key("peak_memory_kib"), usage.peak_memory_kib);
    if (!has_amounts) return false;
    if (cpu) usage.cpu = cpu_time_of(*cpu);
    // Flags alone are no usage.
    if (!usage.empty() || !line.model.empty()) line.usage = &usage;
    return flag(Key("of_session"), usage.of_session) &&
           flag(Key("cost_of_session"), usage.cost_of_session) && scanner.close();
}

bool scan_status(LineScanner& scanner, ExecutionStatus& out)
{
    std::string_view word;
    if (!scanner.text(word)) return false;
    const auto status = parse_metric_status(word);
    if (status) out = *status;
    return status.has_value();
}

bool scan_execution(LineScanner& scanner, MetricLine& line)
{
    std::string_view started_at;
    return scanner.open() && scanner.key(Key("execution_id")) && scanner.text(line.execution_id) &&
           scanner.key(Key("workflow_id")) && scanner.text_or_null(line.workflow_id) &&
           scanner.key(Key("step_id")) && scanner.text_or_null(line.step_id) &&
           scanner.key(Key("command")) && scanner.text(line.command) &&
           scanner.key(Key("status")) && scan_status(scanner, line.status) &&
           scanner.key(Key("duration_ms")) && scanner.number(line.duration_ms) &&
           scanner.key(Key("started_at")) && scanner.text(started_at) &&
           scanner.key(Key("retry_count")) &&
           scanner.whole(line.retry_count, std::numeric_limits<int>::max()) &&
           scanner.key(Key("completed_at")) && scanner.text_or_null(line.completion_text) &&
           scanner.key(Key("error_message")) && scanner.text_or_null(line.error_message);
}

bool scan_attempt(LineScanner& scanner, MetricLine& line, Usage& usage)
{
    const auto skip_text = [&scanner] {
        std::string_view text;
        return scanner.text_or_null(text);
    };
    const auto pass_over = [&](const auto& key) { return scanner.key(key) && skip_text(); };
    const auto skip_count = [&scanner](const auto& key) {
        int count = 0;
        return !scanner.key(key) || scanner.whole(count, text::max_small_integer);
    };
    return scanner.key(Key("attempt_id")) && scanner.text_or_null(line.attempt_id) &&
           pass_over(Key("error_code")) && scanner.key(Key("agent")) &&
           scanner.text_or_null(line.agent) && pass_over(Key("agent_id")) &&
           scanner.key(Key("worktree")) && scanner.text_or_null(line.worktree) &&
           pass_over(Key("host")) && pass_over(Key("session")) && scanner.key(Key("usage")) &&
           (scanner.null() || scan_usage(scanner, line, usage)) && scanner.key(Key("queued_ms")) &&
           scanner.number(line.queued_ms) && pass_over(Key("verified")) &&
           skip_count(Key("exit_code")) && skip_count(Key("signal")) &&
           (!scanner.key(Key("reported")) || skip_text()) && scanner.ends();
}

MetricLine line_of(const ExecutionMetric& metric, const std::string& worktree)
{
    MetricLine line;
    line.execution_id = metric.execution_id;
    if (metric.workflow_id) line.workflow_id = *metric.workflow_id;
    if (metric.step_id) line.step_id = *metric.step_id;
    line.command = metric.command;
    line.status = metric.status;
    line.duration_ms = metric.duration.count();
    line.retry_count = metric.retry_count;
    line.completion = metric.completed_at;
    if (metric.error_message) line.error_message = *metric.error_message;
    line.attempt_id = metric.attempt_id;
    line.agent = metric.agent;
    line.worktree = worktree;
    if (metric.usage) {
        line.usage = &*metric.usage;
        line.model = metric.usage->model;
    }
    line.queued_ms = metric.queued.count();
    return line;
}

}  // namespace

std::optional<std::chrono::system_clock::time_point> MetricLine::completed_at() const
{
    return completion_text.empty() ? completion : text::parse_iso(completion_text);
}

std::string_view leading_execution_id(std::string_view line)
{
    constexpr std::string_view begin = "{\"execution_id\": \"";
    if (!line.starts_with(begin)) return {};
    line.remove_prefix(begin.size());
    return line.substr(0, line.find('"'));
}

const MetricLine* MetricReader::read(std::string_view line)
{
    line_ = {};
    usage_ = {};
    LineScanner scanner(line, unescaped_);
    if (!has_unusual_bytes(line) && scan_execution(scanner, line_) &&
        (scanner.ends() || scan_attempt(scanner, line_, usage_)))
        return &line_;
    auto metric = parse_metric(line);
    if (!metric) return nullptr;
    metric_ = *std::move(metric);
    worktree_ = metric_.worktree.string();
    line_ = line_of(metric_, worktree_);
    return &line_;
}

}  // namespace autoexec::protocol

#include "protocol/metric_reader.hpp"

#include "protocol/record_lines.hpp"
#include "protocol/words.hpp"
#include "text/text.hpp"

#ifdef AUTOEXEC_HAS_SIMDJSON
#include <simdjson.h>
#endif

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::protocol {
namespace {

#ifdef AUTOEXEC_HAS_SIMDJSON

using simdjson::dom::element;
using std::chrono::microseconds;

constexpr std::int64_t max_usage_count = std::int64_t{1} << 53;
constexpr double max_usage_number = 1e9;  // of dollars and of seconds

// Each reads one member, and returns false where `parse_metric` has to decide: for another type, a
// value out of range, a spelling of older versions.

bool read_text(const element& value, std::string_view& out)
{
    return value.is_null() || value.get_string().get(out) == simdjson::SUCCESS;
}

bool read_text(const element& value, std::optional<std::string_view>& out)
{
    if (value.is_null()) return true;
    return value.get_string().get(out.emplace()) == simdjson::SUCCESS;
}

bool read_number(const element& value, double& out)
{
    return value.is_number() && value.get_double().get(out) == simdjson::SUCCESS;
}

template <class Number>
bool read_whole(const element& value, Number& out, std::int64_t max)
{
    std::int64_t number = 0;
    if (!value.is_int64() || value.get_int64().get(number) != simdjson::SUCCESS) return false;
    out = static_cast<Number>(number);
    return number >= 0 && number <= max;
}

bool read_amount(const element& value, double& out)
{
    return read_number(value, out) && out >= 0 && out <= max_usage_number;
}

bool read_time(const element& value, std::optional<std::chrono::system_clock::time_point>& out)
{
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS) return false;
    out = text::parse_iso(text);
    return true;
}

template <class Enum>
bool read_word(const element& value, Enum& out)
{
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS) return false;
    const auto word = parse_word<Enum>(text);
    if (word) out = *word;
    return word.has_value();
}

/// What a line is read into.
struct MetricTarget {
    MetricLine line;
    Usage usage;
};

struct MetricMember {
    std::string_view key;
    bool (*read)(const element& value, MetricTarget& into);
};

template <auto Member>
bool usage_count(const element& value, MetricTarget& into)
{
    return read_whole(value, (into.usage.*Member).emplace(), max_usage_count);
}

constexpr std::array<MetricMember, 11> usage_members{{
    {"input_tokens", usage_count<&Usage::input_tokens>},
    {"output_tokens", usage_count<&Usage::output_tokens>},
    {"cache_read_tokens", usage_count<&Usage::cache_read_tokens>},
    {"cache_write_tokens", usage_count<&Usage::cache_write_tokens>},
    {"reasoning_tokens", usage_count<&Usage::reasoning_tokens>},
    {"cost_usd",
     [](const element& v, MetricTarget& t) { return read_amount(v, t.usage.cost_usd.emplace()); }},
    {"model", [](const element& v, MetricTarget& t) { return read_text(v, t.line.model); }},
    {"cpu_seconds",
     [](const element& v, MetricTarget& t) {
         double seconds = 0;
         if (!read_amount(v, seconds)) return false;
         t.usage.cpu =
             std::chrono::duration_cast<microseconds>(std::chrono::duration<double>(seconds));
         return true;
     }},
    {"peak_memory_kib", usage_count<&Usage::peak_memory_kib>},
    {"of_session",
     [](const element& v, MetricTarget& t) {
         return v.get_bool().get(t.usage.of_session) == simdjson::SUCCESS;
     }},
    {"cost_of_session",
     [](const element& v, MetricTarget& t) {
         return v.get_bool().get(t.usage.cost_of_session) == simdjson::SUCCESS;
     }},
}};

// All but the model and the two flags.
constexpr std::uint32_t usage_amounts = 0x1ff & ~(1U << 6);

// Members are expected in the order of the table, in which they are written. A key that is unknown,
// or there twice, is left to `parse_metric`.
template <std::size_t N>
bool read_members(const simdjson::dom::object& object, const std::array<MetricMember, N>& members,
                  MetricTarget& into, std::uint32_t& seen)
{
    static_assert(N <= 32);
    std::size_t next = 0;
    for (const auto& [key, value] : object) {
        std::size_t i = 0;
        while (i < N && members[(next + i) % N].key != key) ++i;
        if (i == N) return false;
        const auto found = (next + i) % N;
        const auto bit = std::uint32_t{1} << found;
        if ((seen & bit) != 0 || !members[found].read(value, into)) return false;
        seen |= bit;
        next = found + 1;
    }
    return true;
}

bool read_usage(const element& value, MetricTarget& into)
{
    if (value.is_null()) return true;
    simdjson::dom::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) return false;
    std::uint32_t seen = 0;
    if (!read_members(object, usage_members, into, seen)) return false;
    if ((seen & usage_amounts) != 0 || !into.line.model.empty()) into.line.usage = &into.usage;
    return true;
}

constexpr std::array<MetricMember, 20> metric_members{{
    {"execution_id",
     [](const element& v, MetricTarget& t) {
         return v.get_string().get(t.line.execution_id) == simdjson::SUCCESS;
     }},
    {"workflow_id",
     [](const element& v, MetricTarget& t) { return read_text(v, t.line.workflow_id); }},
    {"step_id", [](const element& v, MetricTarget& t) { return read_text(v, t.line.step_id); }},
    {"command",
     [](const element& v, MetricTarget& t) {
         return v.get_string().get(t.line.command) == simdjson::SUCCESS;
     }},
    {"status", [](const element& v, MetricTarget& t) { return read_word(v, t.line.status); }},
    {"duration_ms",
     [](const element& v, MetricTarget& t) { return read_number(v, t.line.duration_ms); }},
    {"started_at",
     [](const element& v, MetricTarget& t) { return read_time(v, t.line.started_at); }},
    {"retry_count",
     [](const element& v, MetricTarget& t) {
         return read_whole(v, t.line.retry_count, std::numeric_limits<int>::max());
     }},
    {"completed_at",
     [](const element& v, MetricTarget& t) {
         return v.is_null() || read_time(v, t.line.completed_at);
     }},
    {"error_message",
     [](const element& v, MetricTarget& t) { return read_text(v, t.line.error_message); }},
    {"attempt_id",
     [](const element& v, MetricTarget& t) { return read_text(v, t.line.attempt_id); }},
    {"error_code",
     [](const element& v, MetricTarget& t) { return read_text(v, t.line.error_code); }},
    {"agent", [](const element& v, MetricTarget& t) { return read_text(v, t.line.agent); }},
    {"agent_id", [](const element& v, MetricTarget& t) { return read_text(v, t.line.agent_id); }},
    {"worktree", [](const element& v, MetricTarget& t) { return read_text(v, t.line.worktree); }},
    {"host", [](const element& v, MetricTarget& t) { return read_text(v, t.line.host); }},
    {"session", [](const element& v, MetricTarget& t) { return read_text(v, t.line.session); }},
    {"usage", read_usage},
    {"queued_ms",
     [](const element& v, MetricTarget& t) { return read_number(v, t.line.queued_ms); }},
    {"verified",
     [](const element& v, MetricTarget& t) {
         return v.is_null() || read_word(v, t.line.verified.emplace());
     }},
}};
// execution_id, command, status, duration_ms, started_at
constexpr std::uint32_t required_members = 1U << 0 | 1U << 3 | 1U << 4 | 1U << 5 | 1U << 6;

// simdjson accepts half a surrogate pair in some places.
bool may_have_surrogates(std::string_view line)
{
    if (std::memchr(line.data(), '\\', line.size()) == nullptr) return false;
    return line.find("\\ud") != line.npos || line.find("\\uD") != line.npos;
}

/// Returns false if it cannot decide.
class FastMetricReader {
public:
    bool read(std::string_view line)
    {
        target_ = {};
        if (may_have_surrogates(line)) return false;
        if (buffer_.size() < line.size() + simdjson::SIMDJSON_PADDING)
            buffer_.resize(2 * line.size() + simdjson::SIMDJSON_PADDING);
        std::memcpy(buffer_.data(), line.data(), line.size());
        simdjson::dom::object object;
        const bool is_copied = false;  // it is padded already
        if (parser_.parse(buffer_.data(), line.size(), is_copied).get_object().get(object) !=
            simdjson::SUCCESS)
            return false;
        std::uint32_t seen = 0;
        return read_members(object, metric_members, target_, seen) &&
               (seen & required_members) == required_members;
    }

    [[nodiscard]] const MetricLine& line() const noexcept { return target_.line; }

private:
    simdjson::dom::parser parser_;
    std::vector<char> buffer_;
    MetricTarget target_;
};

#else

class FastMetricReader {
public:
    static bool read(std::string_view) { return false; }
    static const MetricLine& line()
    {
        static const MetricLine none;
        return none;
    }
};

#endif

/// A view of `metric`.
MetricLine line_of(const ExecutionMetric& metric, const std::string& worktree)
{
    const auto text = [](const std::optional<std::string>& value) {
        return value ? std::optional<std::string_view>(*value) : std::nullopt;
    };
    MetricLine line;
    line.execution_id = metric.execution_id;
    line.command = metric.command;
    line.workflow_id = text(metric.workflow_id);
    line.step_id = text(metric.step_id);
    line.error_message = text(metric.error_message);
    line.status = metric.status;
    line.duration_ms = metric.duration.count();
    line.queued_ms = metric.queued.count();
    line.verified = metric.verified;
    line.retry_count = metric.retry_count;
    line.started_at = metric.started_at;
    line.completed_at = metric.completed_at;
    line.attempt_id = metric.attempt_id;
    line.error_code = metric.error_code;
    line.agent = metric.agent;
    line.agent_id = metric.agent_id;
    line.worktree = worktree;
    line.host = metric.host;
    line.session = metric.session;
    if (metric.usage) {
        line.model = metric.usage->model;
        line.usage = &*metric.usage;
    }
    line.whole = &metric;
    return line;
}

}  // namespace

struct MetricReader::Impl {
    FastMetricReader fast;
    // Of the last line that only `parse_metric` could read.
    ExecutionMetric metric;
    std::string worktree;
    MetricLine line;
};

MetricReader::MetricReader() : impl_(std::make_unique<Impl>()) {}
MetricReader::~MetricReader() = default;
MetricReader::MetricReader(MetricReader&&) noexcept = default;
MetricReader& MetricReader::operator=(MetricReader&&) noexcept = default;

const MetricLine* MetricReader::read(std::string_view line)
{
    if (impl_->fast.read(line)) return &impl_->fast.line();
    auto metric = parse_metric(line);
    if (!metric) return nullptr;
    impl_->metric = *std::move(metric);
    impl_->worktree = impl_->metric.worktree.string();
    impl_->line = line_of(impl_->metric, impl_->worktree);
    return &impl_->line;
}

ExecutionMetric to_metric(const MetricLine& line)
{
    if (line.whole != nullptr) return *line.whole;
    const auto text = [](const std::optional<std::string_view>& value) {
        return value ? std::optional<std::string>(*value) : std::nullopt;
    };
    ExecutionMetric metric;
    metric.execution_id = line.execution_id;
    metric.command = line.command;
    metric.workflow_id = text(line.workflow_id);
    metric.step_id = text(line.step_id);
    metric.error_message = text(line.error_message);
    metric.status = line.status;
    metric.duration = std::chrono::duration<double, std::milli>(line.duration_ms);
    metric.queued = std::chrono::duration<double, std::milli>(line.queued_ms);
    metric.retry_count = line.retry_count;
    metric.started_at = line.started_at;
    metric.completed_at = line.completed_at;
    metric.attempt_id = line.attempt_id;
    metric.error_code = line.error_code;
    metric.agent = line.agent;
    metric.agent_id = line.agent_id;
    metric.worktree = line.worktree;
    metric.host = line.host;
    metric.session = line.session;
    metric.verified = line.verified;
    if (line.usage != nullptr) {
        metric.usage = *line.usage;
        metric.usage->model = line.model;
    }
    return metric;
}

}  // namespace autoexec::protocol

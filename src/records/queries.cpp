#include "records/queries.hpp"

#include "files/safe_files.hpp"
#include "protocol/metric_reader.hpp"
#include "protocol/record_lines.hpp"
#include "protocol/usage.hpp"
#include "records/read_lines.hpp"
#include "records/summary.hpp"
#include "text/text.hpp"

#include <limits>
#include <map>
#include <set>
#include <utility>

namespace autoexec::records {
namespace {

constexpr std::string_view name_suffix = ".jsonl";

std::string_view prefix_of(MetricsFile file)
{
    return file == MetricsFile::executions ? "executions_" : "attempts_";
}

/// The date in the name of such a file; empty: it is none.
std::string_view day_of(std::string_view name, MetricsFile file)
{
    constexpr std::string_view form = "dddd-dd-dd";
    const auto prefix = prefix_of(file);
    if (!name.starts_with(prefix) || !name.ends_with(name_suffix)) return {};
    if (name.size() != prefix.size() + form.size() + name_suffix.size()) return {};
    const auto date = name.substr(prefix.size(), form.size());
    return text::has_form(date, form) ? date : std::string_view{};
}

struct DayFile {
    std::string day;
    std::string name;
};

// By the date in the name, because copying or restoring files changes their times.
std::vector<DayFile> day_files_newest_first(int folder)
{
    std::map<std::string, std::string, std::greater<>> days;
    for (auto& name : files::list_folder(folder, std::numeric_limits<std::size_t>::max())) {
        if (const auto day = day_of(name, MetricsFile::attempts); !day.empty())
            days.insert_or_assign(std::string(day), std::move(name));
        else if (const auto other = day_of(name, MetricsFile::executions); !other.empty())
            days.try_emplace(std::string(other), std::move(name));
    }
    std::vector<DayFile> found;
    for (auto& [day, name] : days) found.push_back({day, std::move(name)});
    return found;
}

/// A line, and where it is.
struct FoundLine {
    std::string_view text;
    const DayFile& file;
    std::uint64_t offset;
};

/// `<name of the file>:<offset>`: lines before that offset, then older files.
struct Cursor {
    explicit Cursor(std::string_view text)
    {
        const auto colon = text.rfind(':');
        if (colon == text.npos) return;
        name = text.substr(0, colon);
        offset = parse_number(text.substr(colon + 1));
    }
    static std::string of(const FoundLine& line)
    {
        return line.file.name + ':' + std::to_string(line.offset);
    }

    std::string name;
    std::optional<std::uint64_t> offset;
};

/// The days that the times and the cursor of a filter leave.
struct Days {
    explicit Days(const MetricsFilter& filter)
    {
        if (filter.since) first = text::utc_date(*filter.since);
        if (filter.until) last = text::utc_date(*filter.until);
        is_reached = filter.cursor.empty();
        if (!is_reached) cursor.emplace(filter.cursor);
    }

    [[nodiscard]] bool has(const DayFile& file) const
    {
        return (first.empty() || file.day >= first) && (last.empty() || file.day <= last);
    }
    /// False: it is newer than the cursor. Otherwise where its lines end.
    bool end_of(const DayFile& file, std::optional<std::uint64_t>& end)
    {
        end.reset();
        if (is_reached) return true;
        if (file.name != cursor->name) return false;
        end = cursor->offset;
        is_reached = end.has_value();
        return is_reached;
    }

    std::string first;
    std::string last;
    std::optional<Cursor> cursor;
    bool is_reached = false;
};

/// Whether metric lines match a filter.
class MetricMatcher {
public:
    explicit MetricMatcher(const MetricsFilter& filter) : filter_(filter)
    {
        for (const auto* text : {&filter.execution_id, &filter.attempt_id, &filter.workflow_id,
                                 &filter.step_id, &filter.agent, &filter.worktree})
            hints_.add(*text);
        for (const auto* text : {&filter.workflow, &filter.text})
            hints_.add(*text, StringHint::Kind::part);
        // The original has another word for that.
        if (filter.status && filter.status != ExecutionStatus::completed)
            hints_.add(std::string(to_string(*filter.status)));
    }

    /// False: none of the lines matches. Much cheaper than parsing.
    [[nodiscard]] bool may_match(std::string_view lines) const { return hints_.may_be_in(lines); }

    [[nodiscard]] bool matches(const protocol::MetricLine& line) const
    {
        const auto& f = filter_;
        return is_equal(line.execution_id, f.execution_id) &&
               is_equal(line.attempt_id, f.attempt_id) &&
               is_equal(line.workflow_id, f.workflow_id) && is_of_workflow(line) &&
               is_equal(line.step_id, f.step_id) && is_equal(line.agent, f.agent) &&
               is_equal(line.worktree, f.worktree) && (!f.status || line.status == *f.status) &&
               is_in_time(line) && is_large_enough(line) && has_text(line);
    }

private:
    static bool is_equal(std::string_view value, const std::optional<std::string>& wanted)
    {
        return is_any(wanted) || value == *wanted;
    }
    [[nodiscard]] bool is_of_workflow(const protocol::MetricLine& line) const
    {
        return is_any(filter_.workflow) || workflow_of_run(line.workflow_id) == *filter_.workflow;
    }
    [[nodiscard]] bool is_in_time(const protocol::MetricLine& line) const
    {
        if (!filter_.since && !filter_.until) return true;
        const auto time = line.completed_at();
        return time && (!filter_.since || *time >= *filter_.since) &&
               (!filter_.until || *time < *filter_.until);
    }
    [[nodiscard]] bool is_large_enough(const protocol::MetricLine& line) const
    {
        if (filter_.min_duration &&
            line.duration_ms < static_cast<double>(filter_.min_duration->count()))
            return false;
        return !filter_.min_cost ||
               (line.usage != nullptr && line.usage->cost_usd.value_or(0) >= *filter_.min_cost);
    }
    [[nodiscard]] bool has_text(const protocol::MetricLine& line) const
    {
        if (is_any(filter_.text)) return true;
        return line.command.find(*filter_.text) != std::string_view::npos ||
               line.error_message.find(*filter_.text) != std::string_view::npos;
    }

    const MetricsFilter& filter_;
    StringHints hints_;
};

// Calls `take` for each line that matches, newest first, until it returns false, and `expect`
// before a line is parsed. Returns the number of lines that are not valid.
std::uint64_t scan(const Folder& location, const MetricsFilter& filter, Days& days,
                   const ReportUnreadable& report,
                   const std::function<bool(const protocol::MetricLine&, const FoundLine&)>& take,
                   const std::function<void(std::string_view)>& expect = {})
{
    std::uint64_t bad = 0;
    error_code ec;
    const auto folder = location.open(ec);
    if (!is_usable(location.path(), ec, report)) return bad;
    const MetricMatcher matcher(filter);
    const auto may_match = [&matcher](std::string_view lines) { return matcher.may_match(lines); };
    protocol::MetricReader reader;
    for (const auto& day : day_files_newest_first(folder.get())) {
        std::optional<std::uint64_t> end;
        if (!days.end_of(day, end) || !days.has(day)) continue;
        auto file = Folder::open_log(folder.get(), day.name, ec);
        if (!is_usable(location.path() / day.name, ec, report)) continue;
        ReverseLines lines(std::move(file), end, may_match);
        while (const auto text = lines.next()) {
            if (!matcher.may_match(*text)) continue;
            if (expect) expect(*text);
            const auto* const line = reader.read(*text);
            bad += line == nullptr ? 1 : 0;
            if (line == nullptr || !matcher.matches(*line)) continue;
            if (!take(*line, {*text, day, lines.offset()})) return bad;
        }
        bad += lines.skipped();
    }
    return bad;
}

}  // namespace

bool is_usable(const std::filesystem::path& path, error_code ec, const ReportUnreadable& report)
{
    const bool exists = ec != boost::system::errc::no_such_file_or_directory;
    if (ec && exists && report) report(path, ec);
    return !ec;
}

std::string metrics_file_name(MetricsFile file, std::string_view date)
{
    return std::string(prefix_of(file)) + std::string(date) + std::string(name_suffix);
}

std::vector<std::string> list_metrics_files(int folder)
{
    std::vector<std::string> names;
    for (auto& file : day_files_newest_first(folder)) names.push_back(std::move(file.name));
    return names;
}

MetricsPage read_metrics(const Folder& folder, const MetricsFilter& filter,
                         const ReportUnreadable& report)
{
    MetricsPage page;
    // A writer repeats a line if it could not determine whether the first one was synced.
    std::set<std::pair<std::string, int>> known;
    Days days(filter);
    const auto take = [&](const protocol::MetricLine& line, const FoundLine& found) {
        if (!known.emplace(line.execution_id, line.retry_count).second) return true;
        page.metrics.push_back(protocol::parse_metric(found.text).value());
        if (page.metrics.size() != filter.limit) return true;
        page.next = Cursor::of(found);
        return false;
    };
    page.skipped_lines = scan(folder, filter, days, report, take);
    page.cursor_is_lost = !days.is_reached;
    return page;
}

std::optional<ResumedSession> session_of(const std::vector<ExecutionMetric>& attempts)
{
    if (attempts.empty() || attempts.front().session.empty()) return std::nullopt;
    const auto& last = attempts.front();
    ResumedSession session{last.session, last.error_message.value_or(""), {}};
    for (const auto& attempt : attempts)
        if (attempt.session == last.session) protocol::add_usage(session.usage, attempt.usage);
    return session;
}

MetricsSummary summarize_metrics(const Folder& folder, const MetricsFilter& filter,
                                 MetricsGrouping grouping, const ReportUnreadable& report)
{
    SummaryBuilder sums(grouping);
    Days days(filter);
    const auto add = [&sums](const protocol::MetricLine& line, const FoundLine& found) {
        sums.add(line, found.file.day);
        return true;
    };
    const auto expect = [&sums](std::string_view text) { sums.expect(text); };
    const auto bad = scan(folder, filter, days, report, add, expect);
    auto summary = sums.summary();
    summary.skipped_lines = bad;
    return summary;
}

}  // namespace autoexec::records

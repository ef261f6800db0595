#include "records/queries.hpp"

#include "files/safe_files.hpp"
#include "protocol/metric_reader.hpp"
#include "protocol/record_lines.hpp"
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

/// What a scan of the metrics gives: the line, and where it is.
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

// Calls `take` for each line, newest first, until it returns false. Returns the number of lines
// that were too long.
std::uint64_t scan(const Folder& location, Days& days, const ReportUnreadable& report,
                   const std::function<bool(const FoundLine& line)>& take)
{
    std::uint64_t skipped = 0;
    error_code ec;
    const auto folder = location.open(ec);
    if (!is_usable(location.path(), ec, report)) return skipped;
    for (const auto& day : day_files_newest_first(folder.get())) {
        std::optional<std::uint64_t> end;
        if (!days.end_of(day, end) || !days.has(day)) continue;
        auto file = Folder::open_log(folder.get(), day.name, ec);
        if (!is_usable(location.path() / day.name, ec, report)) continue;
        ReverseLines lines(std::move(file), end);
        while (const auto line = lines.next())
            if (!take({*line, day, lines.offset()})) return skipped;
        skipped += lines.skipped();
    }
    return skipped;
}

/// Whether metric lines match a filter.
class MetricMatcher {
public:
    explicit MetricMatcher(const MetricsFilter& filter) : filter_(filter)
    {
        if (filter.status) status_ = to_string(*filter.status);
        // The original's word.
        if (filter.status == ExecutionStatus::completed) status_.reset();
    }

    /// False: it cannot match. Much cheaper than parsing.
    [[nodiscard]] bool may_match(std::string_view line) const
    {
        for (const auto* text :
             {&filter_.execution_id, &filter_.attempt_id, &filter_.workflow_id, &filter_.workflow,
              &filter_.step_id, &filter_.agent, &status_, &filter_.worktree, &filter_.text})
            if (!may_hold(line, *text)) return false;
        return true;
    }

    [[nodiscard]] bool matches(const protocol::MetricLine& line) const
    {
        const auto& f = filter_;
        return is_equal(line.execution_id, f.execution_id) &&
               is_equal(line.attempt_id, f.attempt_id) &&
               is_equal(line.workflow_id.value_or(""), f.workflow_id) &&
               is_equal(workflow_of_run(line.workflow_id.value_or("")), f.workflow) &&
               is_equal(line.step_id.value_or(""), f.step_id) && is_equal(line.agent, f.agent) &&
               is_equal(line.worktree, f.worktree) && (!f.status || line.status == *f.status) &&
               is_in_time(line) && is_large_enough(line) && has_text(line);
    }

private:
    static bool is_equal(std::string_view value, const std::optional<std::string>& wanted)
    {
        return is_any(wanted) || value == *wanted;
    }
    [[nodiscard]] bool is_in_time(const protocol::MetricLine& line) const
    {
        if (!filter_.since && !filter_.until) return true;
        return line.completed_at && (!filter_.since || *line.completed_at >= *filter_.since) &&
               (!filter_.until || *line.completed_at < *filter_.until);
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
               line.error_message.value_or("").find(*filter_.text) != std::string_view::npos;
    }

    const MetricsFilter& filter_;
    std::optional<std::string> status_;
};

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

MetricsPage read_metrics(const Folder& folder, const MetricsFilter& filter,
                         const ReportUnreadable& report)
{
    MetricsPage page;
    const MetricMatcher matcher(filter);
    protocol::MetricReader reader;
    // A writer repeats a line if it could not determine whether the first one was synced.
    std::set<std::pair<std::string, int>> known;
    Days days(filter);
    std::uint64_t bad = 0;
    const auto too_long = scan(folder, days, report, [&](const FoundLine& found) {
        if (!matcher.may_match(found.text)) return true;
        const auto* const line = reader.read(found.text);
        bad += line == nullptr ? 1 : 0;
        if (line == nullptr || !matcher.matches(*line)) return true;
        if (!known.emplace(line->execution_id, line->retry_count).second) return true;
        page.metrics.push_back(protocol::to_metric(*line));
        if (page.metrics.size() != filter.limit) return true;
        page.next = Cursor::of(found);
        return false;
    });
    page.skipped_lines = bad + too_long;
    page.cursor_is_lost = !days.is_reached;
    return page;
}

MetricsSummary summarize_metrics(const Folder& folder, const MetricsFilter& filter,
                                 MetricsGrouping grouping, const ReportUnreadable& report)
{
    SummaryBuilder sums(grouping);
    const MetricMatcher matcher(filter);
    protocol::MetricReader reader;
    Days days(filter);
    std::uint64_t bad = 0;
    const auto too_long = scan(folder, days, report, [&](const FoundLine& found) {
        if (!matcher.may_match(found.text)) return true;
        const auto* const line = reader.read(found.text);
        if (line == nullptr)
            ++bad;
        else if (matcher.matches(*line))
            sums.add(*line, found.file.day);
        return true;
    });
    auto summary = sums.summary();
    summary.skipped_lines = bad + too_long;
    return summary;
}

}  // namespace autoexec::records

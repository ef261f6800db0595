#include "records/audit_verification.hpp"

#include "files/safe_files.hpp"
#include "protocol/record_lines.hpp"
#include "records/audit_logs.hpp"
#include "records/read_lines.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <utility>

namespace autoexec::records {
namespace {

constexpr std::size_t max_problems = 1'000;
constexpr std::size_t max_unchained = 100'000;
constexpr std::size_t min_key_bytes = 16;
constexpr std::size_t max_key_bytes = 4096;

/// False: it is not the beginning of a line that this program could have written.
bool begins_as_ours(std::string_view line)
{
    constexpr std::string_view form = "dddd-dd-dd dd:dd:dd | INFO | {\"timestamp\": \"";
    const auto size = std::min(line.size(), form.size());
    return std::equal(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(size), form.begin(),
                      [](char c, char f) { return f == 'd' ? c >= '0' && c <= '9' : c == f; });
}

/// A line, as seen from the end of its file.
struct LinePlace {
    std::size_t file = 0;
    std::uint64_t from_end = 0;  ///< How many lines follow it.
};

/// Follows the chain from the newest line to the oldest.
class ChainVerifier {
public:
    explicit ChainVerifier(const AuditChain& chain) : chain_(chain) {}

    void begin_file(std::filesystem::path path) { files_.push_back({std::move(path), 0}); }

    void add_unreadable(const std::filesystem::path& path, error_code ec)
    {
        AuditProblem problem;
        problem.kind = AuditProblemKind::unreadable;
        problem.file = path;
        problem.sentence = fmt::format("It cannot be read: {}.", ec.message());
        unreadable_.push_back(std::move(problem));
    }

    /// Lines that are too long to be read.
    void add_unread(std::uint64_t count) { result_.further_problems += count; }

    void add(std::string_view line)
    {
        const LinePlace place{files_.size() - 1, files_.back().lines++};
        ++result_.lines;
        auto link = link_of(line);
        if (!link) {
            add_unchained(place, line);
            return;
        }
        ++result_.chained_lines;
        const bool is_ours = link->key == chain_.key_name();
        const bool is_right = is_ours && chain_.is_right(line, *link);
        if (!is_ours)
            report(AuditProblemKind::other_key, place, link->seq,
                   link->key.empty() ? "It was hashed without a key."
                   : chain_.key_name().empty()
                       ? "It was hashed with a key, which is needed to check it."
                       : "It was hashed with another key.");
        else if (!is_right)
            report(AuditProblemKind::edited, place, link->seq,
                   "It is not as it was written: its hash is wrong.");
        if (newer_)
            compare(place, *link, is_right);
        else
            result_.last_seq = link->seq;
        flush_unchained();
        newer_ = Newer{*std::move(link), place, is_right};
    }

    AuditVerification finish()
    {
        if (newer_) result_.first_seq = newer_->link.seq;
        // Written before lines were chained. With a key, others could have removed their links.
        if (chain_.key_name().empty() && (!newer_ || newer_->link.seq == 1))
            result_.unchained_lines =
                std::exchange(unchained_, {}).size() + std::exchange(unplaced_, 0);
        flush_unchained();
        std::reverse(found_.begin(), found_.end());
        for (auto& [place, problem] : found_) {
            const auto& file = files_[place.file];
            problem.file = file.path;
            problem.line = file.lines - place.from_end;
            unreadable_.push_back(std::move(problem));
        }
        result_.problems = std::move(unreadable_);
        return std::move(result_);
    }

private:
    struct File {
        std::filesystem::path path;
        std::uint64_t lines = 0;
    };
    /// The chained line after this one.
    struct Newer {
        ChainLink link;
        LinePlace place;
        bool is_right = true;
    };
    struct Unchained {
        LinePlace place;
        AuditProblemKind kind = AuditProblemKind::foreign;
    };

    void add_unchained(LinePlace place, std::string_view line)
    {
        using Kind = AuditProblemKind;
        // Bounded: a log of another program is no reason to fill the memory.
        if (unchained_.size() >= max_unchained) {
            ++unplaced_;
            return;
        }
        const bool is_event = protocol::parse_audit(line).has_value();
        const bool is_whole = line.ends_with("\"}") || has_damaged_end(line);
        unchained_.push_back({place, is_event || !begins_as_ours(line) ? Kind::foreign
                                     : is_whole                        ? Kind::edited
                                                                       : Kind::torn});
    }

    void compare(LinePlace place, const ChainLink& link, bool is_right)
    {
        const auto& newer = newer_->link;
        if (newer.seq <= link.seq) {
            report(AuditProblemKind::misplaced, newer_->place, newer.seq,
                   fmt::format("It follows line {} of the chain.", link.seq));
            return;
        }
        const auto missing = newer.seq - link.seq - 1;
        if (missing > 0) {
            report_missing(missing, newer.seq);
            return;
        }
        if (newer.prev == link.hash || !is_right || !newer_->is_right) return;
        report(AuditProblemKind::edited, place, link.seq,
               "It is not the line that the next one was written after.");
    }

    // What has no link there may be what is missing.
    void report_missing(std::uint64_t missing, std::uint64_t seq)
    {
        if (unchained_.size() < missing) {
            report(AuditProblemKind::removed, newer_->place, seq,
                   fmt::format("{} before it {} missing.",
                               missing == 1 ? "The line" : fmt::format("{} lines", missing),
                               missing == 1 ? "is" : "are"));
            return;
        }
        for (const auto& line : std::exchange(unchained_, {}))
            report(AuditProblemKind::edited, line.place, 0,
                   "It is not as it was written: its link is damaged.");
    }

    void flush_unchained()
    {
        result_.further_problems += std::exchange(unplaced_, 0);
        for (const auto& line : std::exchange(unchained_, {})) {
            if (line.kind == AuditProblemKind::foreign)
                report(line.kind, line.place, 0,
                       "It has no link: another program has written it, or its link was removed.");
            else
                report(line.kind, line.place, 0, "It is no whole event.");
        }
    }

    void report(AuditProblemKind kind, LinePlace place, std::uint64_t seq, std::string sentence)
    {
        // The first line counts most, and is found last.
        if (found_.size() == max_problems) {
            found_.pop_front();
            ++result_.further_problems;
        }
        AuditProblem problem;
        problem.kind = kind;
        problem.seq = seq;
        problem.sentence = std::move(sentence);
        found_.emplace_back(place, std::move(problem));
    }

    const AuditChain& chain_;
    AuditVerification result_;
    std::vector<File> files_;
    std::vector<AuditProblem> unreadable_;
    std::deque<std::pair<LinePlace, AuditProblem>> found_;  // newest first
    std::vector<Unchained> unchained_;  // between this line and the chained one after it
    std::uint64_t unplaced_ = 0;        // further ones
    std::optional<Newer> newer_;
};

}  // namespace

AuditVerification verify_audit(const Folder& folder, const AuditChain& chain)
{
    ChainVerifier verifier(chain);
    const auto report = [&verifier](const std::filesystem::path& path, error_code ec) {
        verifier.add_unreadable(path, ec);
    };
    AuditLogs logs(folder, report);
    while (auto log = logs.next()) {
        verifier.begin_file(folder.path() / log->name);
        ReverseLines lines(std::move(log->file));
        while (const auto line = lines.next()) verifier.add(*line);
        verifier.add_unread(lines.skipped());
    }
    return verifier.finish();
}

std::string read_audit_key(const std::filesystem::path& file)
{
    if (file.empty()) return {};
    const auto refuse = [&file](std::string_view why) {
        throw system_error(errc::invalid_options,
                           fmt::format("key_file: '{}' {}", file.string(), why));
    };
    const files::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat st {};
    if (!fd || ::fstat(fd.get(), &st) != 0)
        refuse("cannot be read: " + files::last_error().message());
    if (!S_ISREG(st.st_mode)) refuse("is not a regular file");
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        refuse("can be read by others: restrict its mode to 0600");
    std::array<char, max_key_bytes + 1> buffer{};
    const auto count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0) refuse("cannot be read: " + files::last_error().message());
    std::string key(buffer.data(), static_cast<std::size_t>(count));
    if (key.size() > max_key_bytes) refuse("is larger than 4096 bytes");
    while (key.ends_with('\n') || key.ends_with('\r')) key.pop_back();
    if (key.size() < min_key_bytes) refuse("has fewer than 16 bytes");
    return key;
}

}  // namespace autoexec::records

namespace autoexec::inline v1 {

std::string_view to_string(AuditProblemKind kind) noexcept
{
    switch (kind) {
        case AuditProblemKind::edited:
            return "edited";
        case AuditProblemKind::removed:
            return "removed";
        case AuditProblemKind::misplaced:
            return "misplaced";
        case AuditProblemKind::foreign:
            return "foreign";
        case AuditProblemKind::other_key:
            return "other_key";
        case AuditProblemKind::torn:
            return "torn";
        case AuditProblemKind::unreadable:
            return "unreadable";
    }
    return "unknown";
}

bool AuditVerification::is_intact() const noexcept
{
    return further_problems == 0 &&
           std::all_of(problems.begin(), problems.end(), [](const AuditProblem& problem) {
               return problem.kind == AuditProblemKind::torn;
           });
}

boost::json::object to_json(const AuditVerification& verification)
{
    boost::json::array problems;
    for (const auto& problem : verification.problems)
        problems.push_back(boost::json::object{{"kind", to_string(problem.kind)},
                                               {"file", problem.file.string()},
                                               {"line", problem.line},
                                               {"seq", problem.seq},
                                               {"message", problem.sentence}});
    return {{"intact", verification.is_intact()},
            {"lines", verification.lines},
            {"chained_lines", verification.chained_lines},
            {"unchained_lines", verification.unchained_lines},
            {"first_seq", verification.first_seq},
            {"last_seq", verification.last_seq},
            {"problems", std::move(problems)},
            {"further_problems", verification.further_problems}};
}

}  // namespace autoexec::inline v1

#include "view/run_journals.hpp"

#include "files/safe_files.hpp"
#include "view/stamps.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::view {
namespace {

constexpr std::size_t max_journals = 100'000;
constexpr int journals_of_step = 16;

std::set<std::string> journal_names_in(int folder)
{
    std::set<std::string> names;
    for (auto& name : files::list_folder(folder, max_journals))
        if (name.ends_with(workflow::journal_suffix)) names.insert(std::move(name));
    return names;
}

std::string read_from(int fd, std::size_t offset, std::size_t size)
{
    std::string text(size, '\0');
    std::size_t used = 0;
    while (used < size) {
        const auto n =
            ::pread(fd, text.data() + used, size - used, static_cast<off_t>(offset + used));
        if (n <= 0) break;
        used += static_cast<std::size_t>(n);
    }
    text.resize(used);
    return text;
}

bool is_locked_at(int folder, const std::string& name)
{
    error_code ec;
    const auto fd = records::Folder::open_log(folder, name, ec);
    return fd && workflow::is_locked(fd.get());
}

}  // namespace

std::shared_ptr<const RunEntry> FollowedJournal::refresh(int folder, const workflow::ListedRun& run,
                                                         bool has_changed)
{
    const bool has_ended = entry_ && entry_->status != WorkflowStatus::running;
    if (has_ended && !has_changed) return entry_;
    error_code ec;
    const auto fd = records::Folder::open_log(folder, run.name, ec);
    if (!fd) return entry_ = nullptr;
    // Checked before reading: otherwise a run that ends in between would look interrupted.
    const bool is_locked = workflow::is_locked(fd.get());
    if (fold_ && !has_changed && entry_->alive == is_locked) return entry_;
    if (has_changed || !fold_) read(folder, run.name, fd.get());
    if (!fold_) return entry_ = nullptr;
    auto entry = std::make_shared<RunEntry>(fold_->run());
    entry->run_id = run.run_id;
    entry->alive = is_locked && entry->status == WorkflowStatus::running;
    if (!entry->alive) entry->waits_for.reset();
    if (entry->status != WorkflowStatus::running) fold_.reset();
    return entry_ = std::move(entry);
}

void FollowedJournal::read(int folder, const std::string& name, int fd)
{
    if (fold_ && read_appended(fd)) return;
    fold_.reset();
    const auto found = files::read_regular(folder, name, workflow::journal_limit, {});
    if (found.state != FoundFile::State::present) return;
    fold_.emplace();
    offset_ = 0;
    last_line_.clear();
    add_lines(found.text);
}

// False if what has been folded is no longer there.
bool FollowedJournal::read_appended(int fd)
{
    struct stat st {};
    if (::fstat(fd, &st) != 0) return false;
    const auto size = static_cast<std::size_t>(st.st_size);
    if (size < offset_ || size > workflow::journal_limit) return false;
    const auto start = offset_ - last_line_.size();
    const auto text = read_from(fd, start, size - start);
    if (!text.starts_with(last_line_)) return false;
    add_lines(std::string_view(text).substr(last_line_.size()));
    return true;
}

void FollowedJournal::add_lines(std::string_view text)
{
    while (!text.empty()) {
        const auto end = text.find('\n');
        if (end == text.npos) return;  // it is being written, or its writer was killed
        (void)fold_->add_line(text.substr(0, end));
        last_line_ = text.substr(0, end + 1);
        offset_ += end + 1;
        text.remove_prefix(end + 1);
    }
}

RunJournals::RunJournals(std::filesystem::path project_root, std::size_t max_runs)
    : project_root_(std::move(project_root)), max_runs_(max_runs)
{}

void RunJournals::begin_sweep()
{
    name_.clear();
    phase_ = Phase::done;
    error_code ec;
    const auto folder = workflow::state_folder(project_root_).open(ec);
    if (!folder) {
        changed_ = changed_ || !journals_.empty();
        journals_.clear();
        check_ = {};
        return;
    }
    phase_ = Phase::listing;
    find(folder.get());
}

bool RunJournals::step()
{
    if (phase_ == Phase::listing && !for_each_next(journals_of_step, [this](int folder, auto at) {
            list(folder, at->first, at->second);
        })) {
        if (std::exchange(order_changed_, false)) choose_newest();
        name_.clear();
        phase_ = Phase::following;
        return true;
    }
    if (phase_ == Phase::following && !for_each_next(journals_of_step, [this](int folder, auto at) {
            follow(folder, at->first, at->second);
        }))
        phase_ = Phase::done;
    return phase_ != Phase::done;
}

// False: none is left.
bool RunJournals::for_each_next(int count,
                                const std::function<void(int, Journals::iterator)>& visit)
{
    error_code ec;
    const auto folder = workflow::state_folder(project_root_).open(ec);
    for (; folder && count > 0; --count) {
        const auto next = journals_.upper_bound(name_);
        if (next == journals_.end()) return false;
        name_ = next->first;
        visit(folder.get(), next);
    }
    return static_cast<bool>(folder);
}

void RunJournals::look_at(const std::string& name)
{
    error_code ec;
    const auto folder = workflow::state_folder(project_root_).open(ec);
    if (!folder || !name.ends_with(workflow::journal_suffix)) return;
    if (stamp_at(folder.get(), name) == FileStamp{}) {
        order_changed_ = order_changed_ || journals_.erase(name) > 0;
    } else {
        list(folder.get(), name, journals_[name]);
    }
    changed_ = true;
    if (!std::exchange(order_changed_, false)) {
        if (const auto at = journals_.find(name); at != journals_.end())
            follow(folder.get(), name, at->second);
        return;
    }
    choose_newest();
    for (auto& [other, journal] : journals_)
        if (journal.is_newest || journal.entry || other == name)
            follow(folder.get(), other, journal);
}

void RunJournals::look_at_followed()
{
    error_code ec;
    const auto folder = workflow::state_folder(project_root_).open(ec);
    if (!folder) return;
    for (const auto& name : std::set(followed_)) {
        const auto at = journals_.find(name);
        if (at == journals_.end()) continue;
        list(folder.get(), name, at->second);
        follow(folder.get(), name, at->second);
    }
}

// Of old runs, only the lock is looked at.
void RunJournals::follow(int folder, const std::string& name, Journal& journal)
{
    const auto before = journal.entry;
    const bool has_changed = std::exchange(journal.has_changed, false);
    const bool is_followed = journal.listed && (journal.is_newest || before ||
                                                (has_changed && is_locked_at(folder, name)));
    auto entry =
        is_followed ? journal.followed.refresh(folder, *journal.listed, has_changed) : nullptr;
    if (entry && (journal.is_newest || entry->alive)) {
        journal.entry = std::move(entry);
    } else {
        journal.entry = nullptr;
        journal.followed = FollowedJournal();
    }
    if (journal.entry)
        followed_.insert(name);
    else
        followed_.erase(name);
    changed_ = changed_ || journal.entry != before;
}

EntryList<RunEntry> RunJournals::entries() const
{
    EntryList<RunEntry> entries;
    for (const auto& [name, journal] : journals_)
        if (journal.entry) entries.push_back(journal.entry);
    return entries;
}

void RunJournals::find(int folder)
{
    if (!check_.must_read(stamp_of_open(folder), ReadCheck::clock::now())) return;
    const auto names = journal_names_in(folder);
    if (keep_only(journals_, names)) order_changed_ = changed_ = true;
}

void RunJournals::list(int folder, const std::string& name, Journal& journal)
{
    if (!journal.check.must_read(stamp_at(folder, name), ReadCheck::clock::now())) return;
    journal.has_changed = true;
    auto listed = workflow::list_run(folder, name);
    if (listed == journal.listed) return;
    journal.listed = std::move(listed);
    order_changed_ = true;
}

void RunJournals::choose_newest()
{
    std::vector<Journal*> all;
    for (auto& [name, journal] : journals_) {
        journal.is_newest = false;
        if (journal.listed) all.push_back(&journal);
    }
    const auto count = std::min(max_runs_, all.size());
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(all.begin(), end, all.end(), [](const auto* a, const auto* b) {
        return is_newer(*a->listed, *b->listed);
    });
    std::for_each(all.begin(), end, [](auto* journal) { journal->is_newest = true; });
}

}  // namespace autoexec::view

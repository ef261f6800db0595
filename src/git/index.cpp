#include "git/index.hpp"

#include "files/safe_files.hpp"
#include "git/nested.hpp"
#include "git_files/index_file.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string>
#include <system_error>
#include <vector>

namespace autoexec::git {
namespace {

// An index may have other bits there, which git ignores.
bool is_gitlink(std::string_view mode)
{
    constexpr unsigned kind = 0170000;
    unsigned value = 0;
    std::from_chars(mode.data(), mode.data() + mode.size(), value, 8);
    return (value & kind) == 0160000;
}

void record_special(IndexEntry entry, IndexFacts& facts)
{
    if (is_gitlink(entry.mode)) facts.gitlinks.push_back(entry);
    if (entry.stage != 0) facts.unmerged.push_back(std::move(entry));
}

// One line of `ls-files -v -s`: `H 100644 <id> 0<tab>path`.
void record_entry(std::string_view line, bool sparse, IndexFacts& facts)
{
    const auto tab = line.find('\t');
    if (tab == std::string_view::npos || line.size() < 2) return;
    const char tag = line[0];
    facts.hides_changes |= (tag >= 'a' && tag <= 'z') || (tag == 'S' && !sparse);
    const auto mode_end = line.find(' ', 2);
    IndexEntry entry;
    entry.mode = line.substr(2, mode_end - 2);
    entry.id = line.substr(mode_end + 1, tab - 2 - mode_end - 1);
    entry.stage = static_cast<std::size_t>(line[tab - 1] - '0');
    entry.path = line.substr(tab + 1);
    record_special(std::move(entry), facts);
}

using files::UniqueFd;

constexpr char prefix[] = "index-";
// Enough for some ten million files. Without a bound, a sparse file could claim any size.
constexpr off_t max_index = off_t{1} << 30;
constexpr char lock_suffix[] = ".lock";

bool copy_bytes(int from, int to)
{
    constexpr std::size_t portion = 1 << 30;
    ssize_t copied = 0;
    do copied = ::sendfile(to, from, nullptr, portion);
    while (copied > 0 || (copied < 0 && errno == EINTR));
    return copied == 0;
}

}  // namespace

asio::awaitable<IndexFacts> read_index(const Git& git, GitContext context, bool sparse)
{
    PathVisitor none = [](std::string_view) {};
    return read_index(git, std::move(context), sparse, std::move(none));
}

asio::awaitable<IndexFacts> read_index(const Git& git, GitContext context, bool sparse,
                                       PathVisitor visit)
{
    const auto listing = co_await git(context, "ls-files", "-v", "-s", "-z");
    IndexFacts facts;
    facts.problem = listing.cut ? "there are too many files" : "";
    if (!listing.ok()) facts.problem = reason_of(listing);
    if (facts.readable())
        for (const auto line : split_nul(listing.output)) {
            record_entry(line, sparse, facts);
            visit(line.substr(line.find('\t') + 1));
        }
    co_return facts;
}

std::optional<IndexFacts> read_index(const fs::path& index, std::size_t id_size,
                                     const PathVisitor& visit)
{
    IndexFacts facts;
    const auto add = [&](const git_files::IndexedFile& file) {
        facts.hides_changes |= file.assumed_unchanged;
        visit(file.path);
        auto mode = fmt::format("{:06o}", file.mode);
        if (file.stage == 0 && !is_gitlink(mode)) return;
        record_special({std::move(mode), text::hex(file.id), file.stage, std::string(file.path)},
                       facts);
    };
    if (!git_files::visit_index(index, id_size, add)) return std::nullopt;
    facts.problem.clear();
    return facts;
}

bool may_have_attributes(const fs::path& index, std::size_t id_size)
{
    static constexpr std::string_view below = "/.gitattributes";
    static constexpr auto name = below.substr(1);
    bool found = false;
    const auto look = [&found](const git_files::IndexedFile& file) {
        found = found || file.path == name || file.path.ends_with(below);
    };
    return !git_files::visit_index(index, id_size, look) || found;
}

void add_entry(Words& words, std::string_view mode, std::string_view id, std::string_view path)
{
    words.emplace_back("--cacheinfo");
    words.push_back(fmt::format("{},{},{}", mode, id, path));
}

TemporaryIndex::TemporaryIndex(const Entry& entry)
    : file_(entry.records() / (prefix + text::new_uuid()))
{
    (void)files::make_folders(entry.records(), problem_);
}

TemporaryIndex::~TemporaryIndex()
{
    if (file_.empty()) return;
    ::unlink(file_.c_str());
    ::unlink((file_.string() + lock_suffix).c_str());
}

bool copy_index(const fs::path& from, const fs::path& to)
{
    const UniqueFd source(::open(from.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info {};
    if (!source || ::fstat(source.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
    if (info.st_size > max_index) return false;
    const UniqueFd copy(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!copy || !copy_bytes(source.get(), copy.get())) return false;
    const std::array<timespec, 2> times{info.st_atim, info.st_mtim};
    return ::futimens(copy.get(), times.data()) == 0;
}

// The lock is a hard link to this index, so it can be recognized later.
bool TemporaryIndex::install(const Entry& entry)
{
    const auto index = entry.git_dir / "index";
    const auto lock = index.string() + lock_suffix;
    if (::link(file_.c_str(), lock.c_str()) != 0) return false;
    if (::rename(lock.c_str(), index.c_str()) == 0) return true;
    ::unlink(lock.c_str());
    return false;
}

PathFile::PathFile(const Entry& entry, const Words& paths)
    : file_(entry.records() / ("paths-" + text::new_uuid()))
{
    // A failure shows when git cannot read the file.
    write_record(entry, file_.filename(), nul_terminated(paths));
}

PathFile::~PathFile()
{
    ::unlink(file_.c_str());
}

std::string nul_terminated(const Words& paths)
{
    std::string text;
    for (const auto& path : paths) text.append(path).push_back('\0');
    return text;
}

void sweep_temporary_indexes(const Entry& entry)
{
    const auto index_lock = entry.git_dir / (std::string("index") + lock_suffix);
    std::vector<fs::path> left;
    std::error_code ec;
    std::vector<fs::path> views;
    for (const auto& file : fs::directory_iterator(entry.records(), ec)) {
        const auto name = file.path().filename().string();
        if (name.starts_with(prefix)) left.push_back(file.path());
        if (name.starts_with(NestedView::prefix)) views.push_back(file.path());
    }
    for (const auto& view : views) fs::remove_all(view, ec);
    for (const auto& file : left) {
        if (fs::equivalent(file, index_lock, ec)) ::unlink(index_lock.c_str());
        ::unlink(file.c_str());
    }
}

}  // namespace autoexec::git

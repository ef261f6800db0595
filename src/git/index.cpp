#include "git/index.hpp"

#include <fmt/format.h>

namespace autoexec::git {
namespace {

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
    if (entry.mode == gitlink_mode) facts.gitlinks.push_back(entry);
    if (entry.stage != 0) facts.unmerged.push_back(std::move(entry));
}

}  // namespace

asio::awaitable<IndexFacts> read_index(const Git& git, GitContext context, bool sparse)
{
    const auto listing = co_await git(context, "ls-files", "-v", "-s", "-z");
    IndexFacts facts;
    facts.problem = listing.cut ? "there are too many files" : "";
    if (!listing.ok()) facts.problem = reason_of(listing);
    if (facts.readable())
        for (const auto line : split_nul(listing.output)) record_entry(line, sparse, facts);
    co_return facts;
}

void add_entry(Words& words, std::string_view mode, std::string_view id, std::string_view path)
{
    words.emplace_back("--cacheinfo");
    words.push_back(fmt::format("{},{},{}", mode, id, path));
}

}  // namespace autoexec::git

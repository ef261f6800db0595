#include "git/index_facts.hpp"

#include <filesystem>
#include <system_error>

namespace autoexec::git {
namespace {

// One line of `ls-files -v -s`: `H 100644 <id> 0<tab>path`.
void record_entry(std::string_view line, bool sparse, IndexFacts& facts)
{
    const auto tab = line.find('\t');
    if (tab == std::string_view::npos || line.size() < 2) return;
    const char tag = line[0];
    facts.hides_changes |= (tag >= 'a' && tag <= 'z') || (tag == 'S' && !sparse);
    const char stage = line[tab - 1];
    if (stage == '0') {
        const auto links = gitlinks_in(line.substr(2));
        facts.gitlinks.insert(facts.gitlinks.end(), links.begin(), links.end());
        return;
    }
    const auto mode_end = line.find(' ', 2);
    UnmergedEntry entry;
    entry.mode = line.substr(2, mode_end - 2);
    entry.id = line.substr(mode_end + 1, tab - 2 - mode_end - 1);
    entry.stage = static_cast<std::size_t>(stage - '0');
    entry.path = line.substr(tab + 1);
    facts.unmerged.push_back(std::move(entry));
}

}  // namespace

IndexFacts facts_of(const ProgramOutput& listing, bool sparse)
{
    IndexFacts facts;
    facts.readable = listing.ok() && !listing.cut;
    if (facts.readable)
        for (const auto line : split_nul(listing.output)) record_entry(line, sparse, facts);
    return facts;
}

bool is_sparse(const Entry& entry)
{
    std::error_code ec;
    return std::filesystem::exists(entry.git_dir / "info" / "sparse-checkout", ec);
}

}  // namespace autoexec::git

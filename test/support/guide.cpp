#include "support/guide.hpp"

#include "support/temporary_folder.hpp"
#include "text/text.hpp"

#include <doctest/doctest.h>
#include <boost/algorithm/string/replace.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <sstream>
#include <utility>

namespace autoexec::test {
namespace {

constexpr std::string_view indent = "    ";

std::optional<std::string> marker_in(const std::string& line)
{
    constexpr std::string_view begin = "<!-- ";
    constexpr std::string_view end = " -->";
    if (!line.starts_with(begin) || !line.ends_with(end)) return std::nullopt;
    return line.substr(begin.size(), line.size() - begin.size() - end.size());
}

/// Reads a page from top to bottom.
class PageReader {
public:
    std::vector<Example> read(const std::string& page)
    {
        for (const auto& line : lines_of(read_file(documents / page))) {
            ++number_;
            if (in_block_)
                add_to_block(line);
            else
                look_at(line);
        }
        return std::move(examples_);
    }

private:
    void add_to_block(const std::string& line)
    {
        in_block_ = line != "```";
        if (in_block_) examples_.back().text += line + "\n";
    }

    void look_at(const std::string& line)
    {
        constexpr std::string_view exit = "exit ";
        if (auto marker = marker_in(line)) {
            if (marker->starts_with(exit))
                code_ = std::stoi(marker->substr(exit.size()));
            else if (opens_project(*marker))
                examples_.push_back({*std::move(marker), number_, {}, {}});
            else
                marker_ = *std::move(marker);
        } else if (line == "```yaml") {
            in_block_ = true;
            examples_.push_back({std::exchange(marker_, {}), number_, {}, {}});
        } else if (line.starts_with("    $ ")) {
            REQUIRE(!examples_.empty());
            in_transcript_ = true;
            examples_.back().transcripts.push_back(
                {line.substr(indent.size() + 2), {}, std::exchange(code_, 0)});
        } else if (in_transcript_ && line.starts_with(indent)) {
            examples_.back().transcripts.back().lines.push_back(line.substr(indent.size()));
        } else {
            in_transcript_ = false;
        }
    }

    std::vector<Example> examples_;
    std::string marker_;
    std::size_t number_ = 0;
    int code_ = 0;
    bool in_block_ = false;
    bool in_transcript_ = false;
};

Words words_in(const std::string& line)
{
    std::istringstream in(line);
    Words words;
    for (std::string word; in >> word;) words.push_back(word);
    return words;
}

bool is_hex(std::string_view text)
{
    return text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool is_short_id(std::string_view word)
{
    return word.size() == 8 && is_hex(word);
}

bool is_whole_id(std::string word)
{
    if (word.size() != 36 || std::count(word.begin(), word.end(), '-') != 4) return false;
    std::erase(word, '-');
    return is_hex(word);
}

/// A part of a word that differs each time; `size` 0: none.
struct Part {
    std::size_t at = 0;
    std::size_t size = 0;
};

/// The part of a run's id that says when it was: `-20261127-120455-717272`.
Part stamp_in(std::string_view word)
{
    constexpr std::string_view form = "-dddddddd-dddddd-dddddd";
    for (std::size_t at = 0; at + form.size() <= word.size(); ++at)
        if (text::has_form(word.substr(at, form.size()), form)) return {at, form.size()};
    return {};
}

/// The path of a worktree, which may be in quotes.
Part tree_in(std::string_view word)
{
    if (word.find(".tapps-agents/worktrees/") == word.npos) return {};
    const auto at = word.find_first_not_of("'(");
    return {at, word.find_last_not_of("',.:;)") + 1 - at};
}

/// An id, with a comma or colon behind it.
Part id_in(std::string_view word)
{
    const auto size = word.find_last_not_of(",:") + 1;
    const auto id = word.substr(0, size);
    return {0, is_short_id(id) || is_whole_id(std::string(id)) ? size : 0};
}

constexpr std::array named_parts{tree_in, stamp_in, id_in};

std::string word_without_chance(std::string word)
{
    if (const auto part = tree_in(word); part.size > 0)
        return word.replace(part.at, part.size, "TREE");
    if (const auto part = stamp_in(word); part.size > 0)
        return word.replace(part.at, part.size, "-RUN");
    std::string end;
    while (!word.empty() && (word.back() == ',' || word.back() == ':')) {
        end.insert(end.begin(), word.back());
        word.pop_back();
    }
    if (id_in(word).size > 0) return "ID" + end;
    if (word.find('@', 1) != word.npos) return "WHO" + end;
    if (text::parse_iso(word) || text::has_form(word, "dd:dd:dd")) return "WHEN" + end;
    if (text::has_form(word, "+dddd") || text::has_form(word, "-dddd")) return "ZONE" + end;
    const bool has_unit = word.find_first_not_of("0123456789.") != word.npos;
    if (has_unit && text::parse_duration(word)) return "TIME" + end;
    return word + end;
}

std::string line_without_chance(const std::string& line)
{
    std::string text;
    for (auto& word : words_in(line)) text += " " + word_without_chance(std::move(word));
    return text;
}

}  // namespace

std::string Example::file() const
{
    const auto lines = lines_of(text);
    if (lines.empty()) return {};
    const auto name = lines.front().starts_with("# ") ? lines.front().substr(2) : std::string();
    if (!name.empty() && !contains(name, " ")) return name;
    for (const auto& one : lines)
        if (one.starts_with("id: ")) return one.substr(4) + ".yaml";
    return "workflow.yaml";
}

bool opens_project(std::string_view marker)
{
    return marker.starts_with("project") || marker.starts_with("repository");
}

std::vector<Example> read_page(const std::string& page)
{
    return PageReader().read(page);
}

Words Comparison::missing(const Transcript& transcript, const Ended& ended)
{
    auto printed = lines_of(ended.out);
    for (auto& line : lines_of(ended.err)) printed.push_back(std::move(line));
    Words missing;
    for (const auto& line : transcript.lines) {
        if (line == "…") continue;
        const auto at = std::find_if(printed.begin(), printed.end(), [&](const std::string& one) {
            return line_without_chance(one) == line_without_chance(line);
        });
        if (at == printed.end()) {
            missing.push_back(line);
        } else {
            learn(line, *at);
            printed.erase(at);
        }
    }
    return missing;
}

std::string Comparison::translated(std::string command) const
{
    for (const auto& [shown, printed] : names_)
        boost::algorithm::replace_all(command, shown, printed);
    return command;
}

void Comparison::learn(const std::string& shown, const std::string& printed)
{
    const auto ours = words_in(printed);
    std::size_t i = 0;
    for (const auto& word : words_in(shown)) {
        const auto& our = ours.at(i++);
        for (auto* const find : named_parts) {
            const auto part = find(word);
            const auto own = find(our);
            if (part.size == 0) continue;
            const auto name = word.substr(part.at, part.size);
            const auto now = our.substr(own.at, own.size);
            names_[name] = now;
            if (is_whole_id(name))
                names_[name.substr(name.size() - 8)] = now.substr(now.size() - 8);
            break;
        }
    }
}

}  // namespace autoexec::test

#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace autoexec::text {
namespace {

constexpr std::string_view whitespace = " \t\n\r";

bool is_safe(char c) noexcept
{
    return is_letter_or_digit(c) ||
           std::string_view("@%+=:,./_-").find(c) != std::string_view::npos;
}

std::string quote(std::string_view word)
{
    bool safe = !word.empty();
    for (const char c : word) safe = safe && is_safe(c);
    if (safe) return std::string(word);
    std::string out = "'";
    for (const char c : word) c == '\'' ? out += R"('\'')" : out += c;
    return out + "'";
}

class WordReader {
public:
    explicit WordReader(std::string_view line) : rest_(line) {}

    /// Moves to the next word; false at the end of the line.
    bool next()
    {
        for (skip_blanks(); rest_.starts_with("\\\n"); skip_blanks()) rest_.remove_prefix(2);
        return !rest_.empty();
    }

    /// Reads one word. Returns false, with a sentence, if the line ends inside it.
    bool read(std::string& word, std::string& problem)
    {
        while (!rest_.empty() && whitespace.find(rest_.front()) == whitespace.npos) {
            const char c = pop();
            if (c == '\'' || c == '"') {
                if (quoted(c, word)) continue;
                problem =
                    c == '"' ? "A double quote is not closed." : "A single quote is not closed.";
                return false;
            }
            if (c != '\\') {
                word += c;
                continue;
            }
            if (rest_.empty()) {
                problem = "The line ends with a backslash.";
                return false;
            }
            if (const char escaped = pop(); escaped != '\n') word += escaped;
        }
        return true;
    }

private:
    void skip_blanks()
    {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(whitespace), rest_.size()));
    }

    char pop()
    {
        const char c = rest_.front();
        rest_.remove_prefix(1);
        return c;
    }

    bool quoted(char quote, std::string& word)
    {
        while (!rest_.empty()) {
            const char c = pop();
            if (c == quote) return true;
            // Inside double quotes a backslash escapes only these characters, and is literal before
            // others.
            const bool escapes =
                quote == '"' && c == '\\' && !rest_.empty() &&
                std::string_view("$`\"\\\n").find(rest_.front()) != std::string_view::npos;
            if (!escapes)
                word += c;
            else if (const char escaped = pop(); escaped != '\n')
                word += escaped;
        }
        return false;
    }

    std::string_view rest_;
};

}  // namespace

std::string quote_words(std::span<const std::string> words)
{
    std::string out;
    for (const auto& word : words) {
        if (!out.empty()) out += ' ';
        out += quote(word);
    }
    return out;
}

std::optional<std::vector<std::string>> split_words(std::string_view line, std::string& problem)
{
    if (line.find('\0') != line.npos) {
        problem = "The line contains a NUL character.";
        return std::nullopt;
    }
    std::vector<std::string> words;
    for (WordReader reader(line); reader.next();) {
        std::string word;
        if (!reader.read(word, problem)) return std::nullopt;
        words.push_back(std::move(word));
    }
    return words;
}

std::string counted(std::size_t count, std::string_view one, std::string_view many)
{
    if (count == 1) return fmt::format("1 {}", one);
    return many.empty() ? fmt::format("{} {}s", count, one) : fmt::format("{} {}", count, many);
}

}  // namespace autoexec::text

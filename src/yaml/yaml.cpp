#include "yaml/yaml.hpp"

#include "text/text.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <map>
#include <sstream>

namespace autoexec::yaml {
namespace {

struct Refused {
    Position at;
    std::string message;
    std::string hint;
};

Position position(const YAML::Mark& mark)
{
    return mark.is_null() ? Position{} : Position{mark.line + 1, mark.column + 1};
}

struct Size {
    std::size_t nodes = 1;
    std::size_t bytes = 0;
    std::size_t depth = 1;

    void add(const Size& part)
    {
        nodes += part.nodes;
        bytes += part.bytes;
        depth = std::max(depth, part.depth + 1);
    }
};

Size measure(const YamlNode& node)
{
    Size size;
    size.bytes = node.text.size();
    for (const auto& item : node.items) size.add(measure(item));
    for (const auto& entry : node.entries) {
        size.bytes += entry.key.size();
        size.add(measure(entry.value));
    }
    return size;
}

// Builds nodes from the events of yaml-cpp. Its own nodes accept duplicate keys and unlimited
// aliases; here every limit is checked before anything is allocated.
class Builder final : public YAML::EventHandler {
public:
    Builder(Report& report, const YamlLimits& limits) : report_(report), limits_(limits) {}

    [[nodiscard]] YamlNode take_root() { return std::move(root_); }
    [[nodiscard]] Position last_quoted() const { return last_quoted_; }

    void OnDocumentStart(const YAML::Mark& mark) override
    {
        if (documents_++ > 0)
            throw Refused{position(mark), "Only one YAML document is read", "Remove the '---'."};
    }
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        YamlNode node;
        node.at = position(mark);
        if (!open_.empty() && open_.back().entry) {
            // Of a value that is not written, yaml-cpp gives the position of the next token.
            const auto key = open_.back().entry->at;
            const auto line = report_.line(node.at.line);
            const auto first = line.substr(offset_of(line, {1, node.at.column}), 1);
            if (node.at.line == key.line && (first == "~" || first == "n" || first == "N"))
                node.text = "null";
            node.at = key;
        }
        add(std::move(node), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        const auto target = anchors_.find(anchor);
        if (target == anchors_.end())
            throw Refused{position(mark), "An alias cannot be inside the node that it names", {}};
        const auto size = measure(target->second);
        spend(position(mark), size);
        if (open_.size() + size.depth > limits_.depth) throw too_deep(position(mark));
        auto node = target->second;
        node.at = position(mark);
        add(std::move(node), 0);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override
    {
        YamlNode node;
        node.kind = YamlNode::Kind::scalar;
        node.at = position(mark);
        node.text = value;
        node.quoted = tag != "?";
        if (node.quoted) last_quoted_ = node.at;
        if (!node.quoted && (value.empty() || value == "~" || value == "null" || value == "Null" ||
                             value == "NULL"))
            node.kind = YamlNode::Kind::null;
        add(std::move(node), anchor);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override
    {
        open(YamlNode::Kind::sequence, mark, anchor);
    }
    void OnSequenceEnd() override { close(); }

    void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override
    {
        open(YamlNode::Kind::mapping, mark, anchor);
    }
    void OnMapEnd() override { close(); }

private:
    struct Open {
        YamlNode node;
        YAML::anchor_t anchor = 0;
        std::optional<YamlEntry> entry;                 // a key whose value follows
        std::map<std::string, int, std::less<>> lines;  // of the keys
    };

    [[nodiscard]] Refused too_deep(Position at) const
    {
        return {at, fmt::format("Nested deeper than {} levels", limits_.depth), {}};
    }

    // Counts nodes before they are kept: aliases and anchors are copies.
    void spend(Position at, const Size& size)
    {
        nodes_ += size.nodes;
        copied_bytes_ += size.bytes;
        if (nodes_ > limits_.nodes || copied_bytes_ > limits_.bytes)
            throw Refused{at,
                          fmt::format("More than {} nodes or {} bytes of content", limits_.nodes,
                                      limits_.bytes),
                          "Aliases count as often as they are used."};
    }

    void open(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor)
    {
        if (open_.size() >= limits_.depth) throw too_deep(position(mark));
        Open level;
        level.node.kind = kind;
        level.node.at = position(mark);
        level.anchor = anchor;
        open_.push_back(std::move(level));
    }

    void close()
    {
        auto level = std::move(open_.back());
        open_.pop_back();
        add(std::move(level.node), level.anchor);
    }

    void add(YamlNode node, YAML::anchor_t anchor)
    {
        spend(node.at, Size{});
        if (anchor != 0) {
            spend(node.at, measure(node));
            anchors_[anchor] = node;
        }
        if (open_.empty()) {
            root_ = std::move(node);
        } else if (auto& level = open_.back(); level.node.kind == YamlNode::Kind::sequence) {
            level.node.items.push_back(std::move(node));
        } else if (!level.entry) {
            level.entry = key_entry(level, std::move(node));
        } else {
            level.entry->value = std::move(node);
            level.node.entries.push_back(std::move(*level.entry));
            level.entry.reset();
        }
    }

    YamlEntry key_entry(Open& level, YamlNode node)
    {
        if (node.kind == YamlNode::Kind::sequence || node.kind == YamlNode::Kind::mapping)
            throw Refused{node.at, "A key must be text", {}};
        const auto [first, fresh] = level.lines.emplace(node.text, node.at.line);
        if (!fresh)
            report_.error(node.at, fmt::format("The key '{}' is there twice", node.text),
                          fmt::format("It is also on line {}.", first->second));
        return {std::move(node.text), node.at, {}};
    }

    Report& report_;
    const YamlLimits& limits_;
    YamlNode root_;
    std::vector<Open> open_;
    std::map<YAML::anchor_t, YamlNode> anchors_;
    Position last_quoted_;
    std::size_t nodes_ = 0;
    std::size_t copied_bytes_ = 0;
    int documents_ = 0;
};

bool acceptable(std::string_view text, Report& report, const YamlLimits& limits)
{
    if (text.size() > limits.bytes) {
        report.error({}, fmt::format("The file is larger than {} bytes", limits.bytes));
        return false;
    }
    int line = 1;
    while (!text.empty()) {
        const auto next = text.substr(0, text.find('\n'));
        if (next.find('\0') != next.npos || text::valid_utf8(next) != next) {
            report.error({line, 0}, "This is not UTF-8 text");
            return false;
        }
        text.remove_prefix(std::min(text.size(), next.size() + 1));
        ++line;
    }
    return true;
}

// yaml-cpp skips an unknown directive, and the whole file with it.
bool begins_with_directive(std::string_view text, Report& report)
{
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    for (int line = 1; !text.empty(); ++line) {
        const auto next = text.substr(0, text.find('\n'));
        if (next.starts_with('%') && !next.starts_with("%YAML") && !next.starts_with("%TAG")) {
            report.error({line, 1}, "A line that begins with '%' is a directive, and not known",
                         "Put what begins with '%' in quotes.");
            return true;
        }
        if (!next.starts_with('#') && next.find_first_not_of(" \t\r") != next.npos) return false;
        text.remove_prefix(std::min(text.size(), next.size() + 1));
    }
    return false;
}

// The message of yaml-cpp for a tab is about tokens.
void report_syntax(const YAML::Exception& e, Report& report)
{
    const auto at = position(e.mark);
    const auto line = report.line(at.line);
    const auto indentation = line.substr(0, line.find_first_not_of(" \t"));
    const bool tab = indentation.find('\t') != indentation.npos;
    report.error(at, "Invalid YAML syntax: " + e.msg,
                 tab ? "This line begins with a tab; YAML is indented with spaces." : "");
}

}  // namespace

std::optional<YamlNode> parse_yaml(std::string_view text, Report& report, const YamlLimits& limits)
{
    if (!acceptable(text, report, limits) || begins_with_directive(text, report))
        return std::nullopt;
    Builder builder(report, limits);
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(builder)) {
        }
        // The parser accepts the end of the file as the end of the quotes.
        if (const auto at = builder.last_quoted();
            quoted_size(text.substr(offset_of(text, at))) == std::string_view::npos)
            throw Refused{at, "The quotes are not closed", {}};
        return builder.take_root();
    } catch (const Refused& refused) {
        report.error(refused.at, refused.message, refused.hint);
    } catch (const YAML::Exception& e) {
        report_syntax(e, report);
    } catch (const std::exception& e) {  // it has thrown out_of_range and the like before
        report.error({}, std::string("Invalid YAML syntax: ") + e.what());
    }
    return std::nullopt;
}

std::size_t offset_of(std::string_view text, Position at)
{
    std::size_t start = text.starts_with("\xef\xbb\xbf") ? 3 : 0;  // counts as no column
    for (int line = 1; line < at.line && start < text.size(); ++line) {
        const auto end = text.find('\n', start);
        start = end == text.npos ? text.size() : end + 1;
    }
    return std::min(text.size(), start + static_cast<std::size_t>(std::max(at.column, 1)) - 1);
}

std::size_t quoted_size(std::string_view text)
{
    const char quote = text.empty() ? '\0' : text.front();
    if (quote != '"' && quote != '\'') return 0;
    for (std::size_t i = 1; i < text.size(); ++i) {
        const bool twice = quote == '\'' && text.substr(i).starts_with("''");
        if (twice || (text[i] == '\\' && quote == '"'))
            ++i;
        else if (text[i] == quote)
            return i + 1;
    }
    return std::string_view::npos;
}

const YamlEntry* YamlNode::find_entry(std::string_view key) const
{
    const auto found = std::ranges::find(entries, key, &YamlEntry::key);
    return found == entries.end() ? nullptr : &*found;
}

const YamlNode* YamlNode::find(std::string_view key) const
{
    const auto* const entry = find_entry(key);
    return entry == nullptr ? nullptr : &entry->value;
}

}  // namespace autoexec::yaml

#include "config/yaml.hpp"

#include "protocol/text.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <map>
#include <sstream>

namespace autoexec::config {
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

// Builds our nodes from yaml-cpp's events. Its own nodes would take keys twice and aliases
// without end; here every limit is checked before anything grows.
class Builder final : public YAML::EventHandler {
public:
    Builder(Report& report, const YamlLimits& limits) : report_(report), limits_(limits) {}

    [[nodiscard]] YamlNode take_root() { return std::move(root_); }

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
        add(std::move(node), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        const auto target = anchors_.find(anchor);
        if (target == anchors_.end())
            throw Refused{position(mark), "An alias can't stand inside of what it names", {}};
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
        std::optional<YamlEntry> entry;                 // a key that waits for its value
        std::map<std::string, int, std::less<>> lines;  // of the keys
    };

    [[nodiscard]] Refused too_deep(Position at) const
    {
        return {at, fmt::format("Nested deeper than {} levels", limits_.depth), {}};
    }

    // Counts what is kept, before it is: an alias is a copy, and so is what an anchor names.
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
                          fmt::format("It stands on line {}, too.", first->second));
        return {std::move(node.text), node.at, {}};
    }

    Report& report_;
    const YamlLimits& limits_;
    YamlNode root_;
    std::vector<Open> open_;
    std::map<YAML::anchor_t, YamlNode> anchors_;
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
        if (next.find('\0') != next.npos || protocol::valid_utf8(next) != next) {
            report.error({line, 0}, "This is not UTF-8 text");
            return false;
        }
        text.remove_prefix(std::min(text.size(), next.size() + 1));
        ++line;
    }
    return true;
}

// yaml-cpp's words for a tab are about tokens.
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
    if (!acceptable(text, report, limits)) return std::nullopt;
    Builder builder(report, limits);
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(builder)) {
        }
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

const YamlNode* YamlNode::find(std::string_view key) const
{
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const YamlEntry& entry) { return entry.key == key; });
    return found == entries.end() ? nullptr : &found->value;
}

}  // namespace autoexec::config

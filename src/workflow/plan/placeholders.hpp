#pragma once

#include "workflow/expression/expression.hpp"

#include <boost/json/object.hpp>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// `{params.NAME}`, `{steps.ID.FIELD}`, `{run.id}` … in commands. Pure.
namespace autoexec::workflow {

/// A value in a text.
struct Placeholder {
    enum class Kind {
        parameter,  ///< `{params.NAME}`
        step,       ///< `{steps.ID.FIELD}`
        run,        ///< `{run.id}`, `{run.branch}`
        worktree,   ///< `{worktree}`
        item,       ///< `{item}`, `{item.NAME}`, `{matrix.NAME}`: only in steps with items
        index,      ///< `{index}`: the same
        feedback,   ///< `{gate.feedback}`
    };
    Kind kind = Kind::parameter;
    std::string name;  ///< Of the parameter; `id` of the run.
    /// Of the value of a step, as in a condition, or within an item. Its offset is that of the
    /// brace in the text.
    ExpressionName path;
};

/// In order. Whatever has another form is text; so is a name behind a `$`, which is a variable of a
/// shell, except for parameters.
std::vector<Placeholder> placeholders_in(std::string_view text);

/// Whether it has a value that an agent, or a person who answered a step, wrote. `items`: an agent
/// wrote the items, too.
bool has_agent_text(std::string_view text, bool items);

/// The value as text; empty: the placeholder stays.
using PlaceholderValue = std::function<std::optional<std::string>(const Placeholder&)>;

/// Replaces each by its value. Values are not expanded again.
std::string fill_placeholders(std::string_view text, const PlaceholderValue& value);

/// The same for parameters alone.
std::string fill_placeholders(std::string_view text, const boost::json::object& params);

/// A value as text: strings as they are, other values as JSON.
std::string text_of(const boost::json::value& value);

}  // namespace autoexec::workflow

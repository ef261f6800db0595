#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <string>
#include <string_view>

namespace autoexec::acp {

/// What a client can select for a session.
enum class Setting { mode, model };

/// A request that changes a setting. Without a method, the setting has the value already.
struct Change {
    std::string method;
    boost::json::object params;  ///< Without the id of the session.
};

/// How to give `setting` the value `wanted`. `session` is the result of `session/new` or of what
/// continues one. False, with the values that it offers, if `wanted` is none of them.
[[nodiscard]] bool find_change(const boost::json::value& session, Setting setting,
                               std::string_view wanted, Change& change, std::string& offered);

}  // namespace autoexec::acp

#pragma once

#include <boost/json/object.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::text {

/// The members of a JSON object, each taken as the type that it should have. Absent and null are
/// the same. One of another type counts as absent, with a sentence in `complaints`: whether that
/// is a warning or the end of the matter is the caller's to say.
class Fields {
public:
    /// `object` may be null: then everything is absent. `prefix` stands before names in
    /// sentences, as in `progress.percentage`.
    Fields(const boost::json::object* object, std::vector<std::string>& complaints,
           std::string prefix = {});

    std::optional<std::string> string(std::string_view key) const;
    std::optional<double> number(std::string_view key) const;
    std::optional<bool> boolean(std::string_view key) const;
    std::optional<std::int64_t> integer(
        std::string_view key, std::int64_t min = std::numeric_limits<std::int64_t>::min(),
        std::int64_t max = std::numeric_limits<std::int64_t>::max()) const;
    /// Of a list with other things in it, the strings.
    std::vector<std::string> strings(std::string_view key) const;
    /// A member that is an object.
    Fields object(std::string_view key) const;

    bool is_string(std::string_view key) const;
    bool empty() const noexcept { return object_ == nullptr || object_->empty(); }

private:
    const boost::json::value* find(std::string_view key) const;
    void complain(std::string_view key, std::string_view expected) const;

    const boost::json::object* object_;
    std::vector<std::string>* complaints_;
    std::string prefix_;
};

}  // namespace autoexec::text

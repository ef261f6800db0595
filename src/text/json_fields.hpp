#pragma once

#include <boost/json/object.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::text {

/// The largest of `Fields::small_integer`.
inline constexpr int max_small_integer = 1'000'000'000;

/// Typed access to the members of a JSON object. Null means absent. A member of another type counts
/// as absent, with a sentence in `complaints`; the caller decides whether that is a warning or an
/// error.
class Fields {
public:
    /// `object` may be null: then every member is absent. `prefix` precedes names in sentences, as
    /// in `progress.percentage`.
    Fields(const boost::json::object* object, std::vector<std::string>& complaints,
           std::string prefix = {});

    std::optional<std::string> string(std::string_view key) const;
    /// An ISO-8601 time. Another text counts as absent, without a sentence.
    std::optional<std::chrono::system_clock::time_point> time(std::string_view key) const;
    std::optional<double> number(std::string_view key) const;
    std::optional<bool> boolean(std::string_view key) const;
    std::optional<std::int64_t> integer(
        std::string_view key, std::int64_t min = std::numeric_limits<std::int64_t>::min(),
        std::int64_t max = std::numeric_limits<std::int64_t>::max()) const;
    /// The same up to `max_small_integer`, or from its negative.
    std::optional<int> small_integer(std::string_view key) const;
    /// The strings of a list; other items are skipped.
    std::vector<std::string> strings(std::string_view key) const;
    /// A member object.
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

#include "programs/json_values.hpp"

#include <boost/json/serialize.hpp>

#include <cmath>

namespace autoexec::programs {

namespace json = boost::json;

const json::value* value_at(const json::value& message, std::string_view pointer)
{
    boost::system::error_code ec;
    return pointer.empty() ? nullptr : message.find_pointer(pointer, ec);
}

std::string text_at(const json::value& message, std::string_view pointer)
{
    const auto* const value = value_at(message, pointer);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::string scalar_at(const json::value& message, std::string_view pointer)
{
    const auto* const value = value_at(message, pointer);
    if (value == nullptr || value->is_structured() || value->is_null()) return {};
    return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

std::optional<double> number_at(const json::value& message, std::string_view pointer)
{
    const auto* const value = value_at(message, pointer);
    boost::system::error_code ec;
    if (value == nullptr) return std::nullopt;
    const auto number = value->to_number<double>(ec);
    return ec || !std::isfinite(number) || number < 0 || number > 1e15
               ? std::nullopt
               : std::optional<double>(number);
}

}  // namespace autoexec::programs

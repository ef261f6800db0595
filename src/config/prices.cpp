#include "config/prices.hpp"

#include "text/json.hpp"
#include "yaml/yaml.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <array>

namespace autoexec::config {
namespace {

namespace json = boost::json;

constexpr double max_price = 1'000'000;
constexpr std::array<std::string_view, 4> price_keys{"input", "output", "cache_read",
                                                     "cache_write"};

std::optional<ModelPrice> read_price(const json::value& value)
{
    const auto* const object = value.if_object();
    if (object == nullptr || !object->contains("input") || !object->contains("output"))
        return std::nullopt;
    for (const auto& [key, number] : *object) {
        const bool is_known =
            std::ranges::find(price_keys, std::string_view(key)) != price_keys.end();
        if (!is_known || !number.is_number()) return std::nullopt;
        // What is not a number is refused as well.
        const auto price = number.to_number<double>();
        if (!(price >= 0 && price <= max_price)) return std::nullopt;
    }
    const auto get = [object](std::string_view key) {
        const auto* const found = object->if_contains(key);
        return (found != nullptr ? *found : object->at("input")).to_number<double>();
    };
    return ModelPrice{get("input"), get("output"), get("cache_read"), get("cache_write")};
}

json::value value_of(const yaml::YamlNode& node)
{
    if (node.kind != yaml::YamlNode::Kind::mapping) {
        const auto number = node.as_number();
        return number ? json::value(*number) : json::value(node.text);
    }
    json::object object;
    for (const auto& entry : node.entries) object[entry.key] = value_of(entry.value);
    return object;
}

}  // namespace

std::optional<ModelPrices> parse_prices(std::string_view json)
{
    const auto reading = text::read_json_object(json);
    if (reading.kind != text::JsonReading::Kind::valid) return std::nullopt;
    ModelPrices prices;
    for (const auto& [model, value] : reading.object) {
        const auto price = read_price(value);
        if (!price) return std::nullopt;
        prices.emplace(model, *price);
    }
    return prices;
}

std::string format_prices(const ModelPrices& prices)
{
    json::object object;
    for (const auto& [model, price] : prices)
        object[model] = {{"input", price.input},
                         {"output", price.output},
                         {"cache_read", price.cache_read},
                         {"cache_write", price.cache_write}};
    return text::dump_line(object);
}

std::string prices_json(const yaml::YamlNode& node)
{
    return text::dump_line(value_of(node));
}

}  // namespace autoexec::config

"""The four wire formats in which programs talk to a model: requests in, answers and errors out."""

import json
from dataclasses import dataclass, field

CALL_ID = "call_standin_{}"
QUOTA = "You exceeded your current quota, please check your plan and billing details."
USAGE = {"input": 1000, "cached": 400, "output": 50, "reasoning": 10}  # of every answer


@dataclass
class Request:
    """What the scenarios need of a request."""

    streamed: bool
    tools: dict = field(default_factory=dict)  # by name, the JSON Schema of the arguments
    freeform: set = field(default_factory=set)  # tools that take text instead of arguments
    wants_json: bool = False  # a side question whose answer must be JSON
    model: str = ""


@dataclass
class Answer:
    """One answer of the model: text, then perhaps a call of a tool."""

    text: str = ""
    tool: str = ""
    arguments: object = None  # a dict, or the text of a freeform tool
    end: str = "stop"  # or 'length', 'refusal'
    number: int = 1  # of this answer in its conversation

    def pieces(self, size=65536):
        return [self.text[i:i + size] for i in range(0, len(self.text), size)]

    @property
    def call_id(self):
        return CALL_ID.format(self.number)


def sse(data, event=None):
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


class Anthropic:
    """POST /v1/messages"""

    ends = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}
    errors = {
        "unauthorized": (401, "authentication_error", "invalid x-api-key"),
        "no_credit": (400, "invalid_request_error",
                      "Your credit balance is too low to access the Anthropic API. "
                      "Please go to Plans & Billing to upgrade or purchase credits."),
        "model_missing": (404, "not_found_error", "model: {model}"),
        "context": (400, "invalid_request_error",
                    "prompt is too long: 212345 tokens > 200000 maximum"),
        "rate_limited": (429, "rate_limit_error",
                         "This request would exceed your organization's rate limit of "
                         "30,000 input tokens per minute."),
        "overloaded": (529, "overloaded_error", "Overloaded"),
        "internal": (500, "api_error", "Internal server error"),
    }

    @staticmethod
    def request(body, path):
        return Request(bool(body.get("stream")),
                       {tool["name"]: tool.get("input_schema", {})
                        for tool in body.get("tools", [])},
                       model=body.get("model", ""))

    @classmethod
    def error(cls, kind, request, seconds=None):
        status, name, words = cls.errors[kind]
        words = words.format(model=request.model)
        return status, {"type": "error", "error": {"type": name, "message": words},
                        "request_id": "req_standin"}

    @classmethod
    def error_event(cls, request):
        return sse(cls.error("internal", request)[1], "error")

    @classmethod
    def message(cls, answer, request):
        content = [{"type": "text", "text": answer.text}] if answer.text else []
        if answer.tool:
            content.append({"type": "tool_use", "id": answer.call_id, "name": answer.tool,
                            "input": answer.arguments})
        return {"id": "msg_standin", "type": "message", "role": "assistant", "model": request.model,
                "content": content, "stop_sequence": None,
                "stop_reason": "tool_use" if answer.tool else cls.ends[answer.end],
                "usage": {"input_tokens": USAGE["input"] - USAGE["cached"],
                          "cache_creation_input_tokens": 0,
                          "cache_read_input_tokens": USAGE["cached"],
                          "output_tokens": USAGE["output"]}}

    @classmethod
    def events(cls, answer, request):
        message = cls.message(answer, request)

        def event(kind, **fields):
            return sse({"type": kind, **fields}, kind)

        start = {**message, "content": [], "stop_reason": None,
                 "usage": {**message["usage"], "output_tokens": 1}}
        yield event("message_start", message=start)
        for index, block in enumerate(message["content"]):
            if block["type"] == "text":
                empty, deltas = {**block, "text": ""}, [
                    {"type": "text_delta", "text": piece} for piece in answer.pieces()]
            else:
                empty, deltas = {**block, "input": {}}, [
                    {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
            yield event("content_block_start", index=index, content_block=empty)
            for delta in deltas:
                yield event("content_block_delta", index=index, delta=delta)
            yield event("content_block_stop", index=index)
        yield event("message_delta", usage={"output_tokens": USAGE["output"]},
                    delta={"stop_reason": message["stop_reason"], "stop_sequence": None})
        yield event("message_stop")


class OpenAI:
    """What the two interfaces of OpenAI have in common."""

    errors = {
        "unauthorized": (401, "invalid_request_error", "invalid_api_key",
                         "Incorrect API key provided: fake-key. You can find your API key at "
                         "https://platform.openai.com/account/api-keys."),
        "no_credit": (429, "insufficient_quota", "insufficient_quota", QUOTA),
        "model_missing": (404, "invalid_request_error", "model_not_found",
                          "The model `{model}` does not exist or you do not have access to it."),
        "context": (400, "invalid_request_error", "context_length_exceeded",
                    "This model's maximum context length is 128000 tokens. However, your messages "
                    "resulted in 212345 tokens. Please reduce the length of the messages."),
        "rate_limited": (429, "requests", "rate_limit_exceeded",
                         "Rate limit reached for {model} on requests per min (RPM): Limit 3, "
                         "Used 3. Please try again in {seconds}s."),
        "overloaded": (503, "server_error", None,
                       "The server is currently overloaded with other requests. "
                       "Sorry about that! You can retry your request."),
        "internal": (500, "server_error", "server_error",
                     "The server had an error while processing your request. Sorry about that!"),
    }

    @classmethod
    def error(cls, kind, request, seconds=None):
        status, name, code, words = cls.errors[kind]
        words = words.format(model=request.model, seconds=seconds)
        return status, {"error": {"message": words, "type": name, "param": None, "code": code}}


class Responses(OpenAI):
    """POST /v1/responses"""

    @staticmethod
    def request(body, path):
        request = Request(bool(body.get("stream")), model=body.get("model", ""))
        for tool in body.get("tools", []):
            name = tool.get("name", tool["type"])
            request.tools[name] = tool.get("parameters") or {}
            if tool["type"] == "custom":
                request.freeform.add(name)
        return request

    @classmethod
    def error_event(cls, request):
        error = cls.error("internal", request)[1]["error"]
        return sse({"type": "response.failed", "response": {
            **cls.response(request, "failed", []),
            "error": {"code": error["code"], "message": error["message"]}}}, "response.failed")

    @staticmethod
    def response(request, status, output, **fields):
        return {"id": "resp_standin", "object": "response", "created_at": 0, "status": status,
                "model": request.model, "output": output, "error": None, **fields}

    @classmethod
    def items(cls, answer, request):
        if answer.text or answer.end == "refusal":
            part = ({"type": "refusal", "refusal": answer.text} if answer.end == "refusal" else
                    {"type": "output_text", "text": answer.text, "annotations": []})
            yield {"type": "message", "id": "msg_standin", "role": "assistant",
                   "status": "completed", "content": [part]}
        if answer.tool:
            call = {"id": "item_standin", "call_id": answer.call_id, "name": answer.tool,
                    "status": "completed"}
            if answer.tool in request.freeform:
                yield {"type": "custom_tool_call", "input": answer.arguments, **call}
            else:
                yield {"type": "function_call", "arguments": json.dumps(answer.arguments), **call}

    @classmethod
    def message(cls, answer, request):
        usage = {"input_tokens": USAGE["input"], "output_tokens": USAGE["output"],
                 "input_tokens_details": {"cached_tokens": USAGE["cached"]},
                 "output_tokens_details": {"reasoning_tokens": USAGE["reasoning"]},
                 "total_tokens": USAGE["input"] + USAGE["output"]}
        cut = answer.end == "length"
        return cls.response(request, "incomplete" if cut else "completed",
                            list(cls.items(answer, request)), usage=usage,
                            incomplete_details={"reason": "max_output_tokens"} if cut else None)

    @classmethod
    def events(cls, answer, request):
        number = 0

        def event(kind, **fields):
            nonlocal number
            number += 1
            return sse({"type": kind, "sequence_number": number, **fields}, kind)

        whole = cls.message(answer, request)
        begun = cls.response(request, "in_progress", [])
        yield event("response.created", response=begun)
        yield event("response.in_progress", response=begun)
        for index, item in enumerate(whole["output"]):
            yield event("response.output_item.added", output_index=index,
                        item={**item, "status": "in_progress", "content": []}
                        if item["type"] == "message" else {**item, "status": "in_progress"})
            if item["type"] == "message" and answer.end != "refusal":
                for piece in answer.pieces():
                    yield event("response.output_text.delta", output_index=index, content_index=0,
                                item_id=item["id"], delta=piece)
            yield event("response.output_item.done", output_index=index, item=item)
        yield event(f"response.{whole['status']}", response=whole)


class ChatCompletions(OpenAI):
    """POST /v1/chat/completions"""

    ends = {"stop": "stop", "length": "length", "refusal": "content_filter"}

    @staticmethod
    def request(body, path):
        tools = {tool["function"]["name"]: tool["function"].get("parameters") or {}
                 for tool in body.get("tools") or []}
        return Request(bool(body.get("stream")), tools, model=body.get("model", ""),
                       wants_json="response_format" in body)

    @classmethod
    def error_event(cls, request):
        return sse(cls.error("internal", request)[1])

    @classmethod
    def parts(cls, answer):
        message = {"role": "assistant", "content": answer.text}
        if answer.tool:
            message["tool_calls"] = [{"index": 0, "id": answer.call_id, "type": "function",
                                      "function": {"name": answer.tool,
                                                   "arguments": json.dumps(answer.arguments)}}]
        usage = {"prompt_tokens": USAGE["input"], "completion_tokens": USAGE["output"],
                 "total_tokens": USAGE["input"] + USAGE["output"],
                 "prompt_tokens_details": {"cached_tokens": USAGE["cached"]},
                 "completion_tokens_details": {"reasoning_tokens": USAGE["reasoning"]}}
        return message, "tool_calls" if answer.tool else cls.ends[answer.end], usage

    @classmethod
    def message(cls, answer, request):
        message, finish, usage = cls.parts(answer)
        return {"id": "chatcmpl-standin", "object": "chat.completion", "created": 0,
                "model": request.model, "usage": usage,
                "choices": [{"index": 0, "message": message, "finish_reason": finish}]}

    @classmethod
    def events(cls, answer, request):
        message, finish, usage = cls.parts(answer)

        def chunk(delta, finish=None, **fields):
            return sse({"id": "chatcmpl-standin", "object": "chat.completion.chunk", "created": 0,
                        "model": request.model, "choices": [
                            {"index": 0, "delta": delta, "finish_reason": finish}], **fields})

        yield chunk({"role": "assistant", "content": ""})
        for piece in answer.pieces():
            yield chunk({"content": piece})
        if answer.tool:
            yield chunk({"tool_calls": message["tool_calls"]})
        yield chunk({}, finish, usage=usage)
        yield sse("[DONE]")


class Gemini:
    """POST /v1beta/models/NAME:generateContent and :streamGenerateContent"""

    ends = {"stop": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY"}
    errors = {
        "unauthorized": (401, "UNAUTHENTICATED",
                         "Request had invalid authentication credentials. Expected OAuth 2 access "
                         "token, login cookie or other valid authentication credential."),
        "wrong_key": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
        "no_credit": (429, "RESOURCE_EXHAUSTED", QUOTA),
        "model_missing": (404, "NOT_FOUND",
                          "models/{model} is not found for API version v1beta, or is not "
                          "supported for generateContent."),
        "context": (400, "INVALID_ARGUMENT",
                    "The input token count (1212345) exceeds the maximum number of tokens "
                    "allowed (1048576)."),
        "rate_limited": (429, "RESOURCE_EXHAUSTED",
                         "Resource has been exhausted (e.g. check quota). "
                         "Please retry in {seconds}s."),
        "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        "internal": (500, "INTERNAL", "An internal error has occurred. Please retry."),
    }

    @staticmethod
    def request(body, path):
        config = body.get("generationConfig", {})
        model, _, method = path.rpartition("/")[2].partition(":")
        tools = {declaration["name"]: declaration.get("parametersJsonSchema",
                                                      declaration.get("parameters", {}))
                 for tool in body.get("tools", [])
                 for declaration in tool.get("functionDeclarations", [])}
        return Request(method.startswith("stream"), tools, model=model,
                       wants_json=config.get("responseMimeType") == "application/json")

    @classmethod
    def error(cls, kind, request, seconds=None):
        status, name, words = cls.errors[kind]
        details = []
        if kind == "wrong_key":
            details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]
        elif kind == "no_credit":
            details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
                {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]
        elif seconds:
            details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo",
                        "retryDelay": f"{seconds}s"}]
        return status, {"error": {"code": status, "status": name, "details": details,
                                  "message": words.format(model=request.model, seconds=seconds)}}

    @classmethod
    def error_event(cls, request):
        return sse(cls.error("internal", request)[1])

    @classmethod
    def message(cls, answer, request, text=None, last=True):
        text = answer.text if text is None else text
        parts = [{"text": text}] if text else []
        if answer.tool and last:
            parts.append({"functionCall": {"name": answer.tool, "args": answer.arguments}})
        candidate = {"index": 0, "content": {"role": "model", "parts": parts}}
        if last:
            candidate["finishReason"] = cls.ends[answer.end]
        return {"candidates": [candidate], "modelVersion": request.model,
                "responseId": "standin", "usageMetadata": {
                    "promptTokenCount": USAGE["input"], "candidatesTokenCount": USAGE["output"],
                    "cachedContentTokenCount": USAGE["cached"],
                    "thoughtsTokenCount": USAGE["reasoning"],
                    "totalTokenCount": USAGE["input"] + USAGE["output"] + USAGE["reasoning"]}}

    @classmethod
    def events(cls, answer, request):
        pieces = answer.pieces()
        for piece in pieces[:-1]:
            yield sse(cls.message(answer, request, piece, last=False))
        yield sse(cls.message(answer, request, pieces[-1] if pieces else ""))


def dialect_of(path):
    """The format of the requests to this path, or None."""
    if path.endswith("/messages"):
        return Anthropic
    if path.endswith("/responses"):
        return Responses
    if path.endswith("/chat/completions"):
        return ChatCompletions
    if path.endswith((":generateContent", ":streamGenerateContent")):
        return Gemini
    return None

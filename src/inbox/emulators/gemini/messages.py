"""The request messages of `v1beta` as tables: every field name and its type, so that a wrong body is refused as there.

A type is written as in the vendor's schema: a message name (`Content`), a scalar (`string`, `int`, `number`, `bool`,
`bytes`), `any` for free JSON, `struct` for a JSON object; `[]` after it makes it repeated, `map:` before it a map.
An enum is `enum:` and its values joined by `|` (`enum:` alone accepts every name: the list keeps growing).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

Fields = Mapping[str, str]

_GENERATE: Final = {
    "model": "string",
    "systemInstruction": "Content",
    "contents": "Content[]",
    "tools": "Tool[]",
    "toolConfig": "ToolConfig",
    "safetySettings": "SafetySetting[]",
    "generationConfig": "GenerationConfig",
    "cachedContent": "string",
    "serviceTier": "enum:",
    "store": "bool",
    "continuationToken": "bytes",
}

_EMBED: Final = {
    "model": "string",
    "content": "Content",
    "taskType": "enum:",
    "title": "string",
    "outputDimensionality": "int",
    "embedContentConfig": "struct",
}

_SCHEMA: Final = {
    "type": "enum:",
    "format": "string",
    "title": "string",
    "description": "string",
    "nullable": "bool",
    "enum": "string[]",
    "maxItems": "int",
    "minItems": "int",
    "properties": "map:Schema",
    "required": "string[]",
    "minProperties": "int",
    "maxProperties": "int",
    "minLength": "int",
    "maxLength": "int",
    "pattern": "string",
    "example": "any",
    "anyOf": "Schema[]",
    "propertyOrdering": "string[]",
    "default": "any",
    "items": "Schema",
    "minimum": "number",
    "maximum": "number",
}

_GENERATION_CONFIG: Final = {
    "stopSequences": "string[]",
    "candidateCount": "int",
    "maxOutputTokens": "int",
    "temperature": "number",
    "topP": "number",
    "topK": "number",
    "presencePenalty": "number",
    "frequencyPenalty": "number",
    "responseMimeType": "string",
    "responseSchema": "Schema",
    "responseJsonSchema": "any",
    "_responseJsonSchema": "any",
    "responseModalities": "enum:[]",
    "thinkingConfig": "ThinkingConfig",
    "mediaResolution": "enum:",
    "seed": "int",
    "logprobs": "int",
    "responseLogprobs": "bool",
    "enableEnhancedCivicAnswers": "bool",
    "speechConfig": "struct",
    "imageConfig": "struct",
}

_PART: Final = {
    "thought": "bool",
    "thoughtSignature": "bytes",
    "partMetadata": "struct",
    "mediaResolution": "any",
    "videoMetadata": "struct",
    "text": "string",
    "inlineData": "Blob",
    "fileData": "FileData",
    "functionCall": "FunctionCall",
    "functionResponse": "FunctionResponse",
    "executableCode": "struct",
    "codeExecutionResult": "struct",
    "toolCall": "struct",
    "toolResponse": "struct",
}

# The members of Part's oneof `data`: a part must have exactly one.
PART_DATA: Final = frozenset(
    {
        "text",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
        "executableCode",
        "codeExecutionResult",
        "toolCall",
        "toolResponse",
    }
)

_FUNCTION_DECLARATION: Final = {
    "name": "string",
    "description": "string",
    "behavior": "enum:",
    "parameters": "Schema",
    "parametersJsonSchema": "any",
    "response": "Schema",
    "responseJsonSchema": "any",
}

_TOOL: Final = {
    "functionDeclarations": "FunctionDeclaration[]",
    "googleSearch": "struct",
    "googleSearchRetrieval": "struct",
    "codeExecution": "struct",
    "urlContext": "struct",
    "fileSearch": "struct",
    "computerUse": "struct",
    "googleMaps": "struct",
    "mcpServers": "any",
}

MESSAGES: Final[Mapping[str, Fields]] = MappingProxyType(
    {
        "GenerateContentRequest": _GENERATE,
        "CountTokensRequest": {
            "model": "string",
            "contents": "Content[]",
            "generateContentRequest": "GenerateContentRequest",
        },
        "EmbedContentRequest": _EMBED,
        "BatchEmbedContentsRequest": {"model": "string", "requests": "EmbedContentRequest[]"},
        "Content": {"role": "string", "parts": "Part[]"},
        "Part": _PART,
        "Blob": {"mimeType": "string", "data": "bytes", "displayName": "string"},
        "FileData": {"mimeType": "string", "fileUri": "string", "displayName": "string"},
        "FunctionCall": {"id": "string", "name": "string", "args": "struct"},
        "FunctionResponse": {
            "id": "string",
            "name": "string",
            "response": "struct",
            "parts": "any",
            "willContinue": "bool",
            "scheduling": "enum:",
        },
        "GenerationConfig": _GENERATION_CONFIG,
        "ThinkingConfig": {
            "includeThoughts": "bool",
            "thinkingBudget": "int",
            "thinkingLevel": "enum:MINIMAL|LOW|MEDIUM|HIGH|XHIGH|THINKING_LEVEL_UNSPECIFIED",
        },
        "SafetySetting": {"category": "enum:", "threshold": "enum:"},
        "Tool": _TOOL,
        "FunctionDeclaration": _FUNCTION_DECLARATION,
        "ToolConfig": {
            "functionCallingConfig": "FunctionCallingConfig",
            "retrievalConfig": "struct",
            "includeServerSideToolInvocations": "bool",
        },
        "FunctionCallingConfig": {
            "mode": "enum:AUTO|ANY|NONE|VALIDATED|MODE_UNSPECIFIED",
            "allowedFunctionNames": "string[]",
        },
        "Schema": _SCHEMA,
    }
)

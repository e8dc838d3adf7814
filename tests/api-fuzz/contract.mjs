// What the description of the API says of an answer.

const methods = ['get', 'post', 'patch', 'put', 'delete'];

/** Forbids keys that the description does not name: an answer must not say more than what is written down. */
function closed(schema, inside = false) {
    if (Array.isArray(schema))
        return schema.map((item) => closed(item));
    if (typeof schema !== 'object' || schema === null)
        return schema;
    const copy = {};
    for (const [key, value] of Object.entries(schema)) {
        if (key === 'allOf')
            copy[key] = value.map((part) => closed(part, true));
        else if (key === 'properties')
            copy[key] = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, closed(part)]));
        else
            copy[key] = key === 'example' || key === 'enum' ? value : closed(value);
    }
    if ((copy.properties || copy.allOf) && !inside && copy.additionalProperties === undefined)
        copy.unevaluatedProperties = false;
    return copy;
}

export class Contract {
    #document;
    #ajv;
    #validators = new Map();

    /** `document`: the description, parsed. `Ajv`: of draft 2019-09, for what is inherited by allOf. */
    constructor(document, Ajv, addFormats) {
        this.#document = document;
        // Components are inherited from by name, so only what is used as a whole is closed.
        this.#ajv = new Ajv({ strict: false, allErrors: false, validateFormats: true });
        addFormats(this.#ajv);
        this.#ajv.addSchema({ components: document.components }, 'api');
    }

    /** All operations: { method, path, parameters, body, responses, id }. */
    operations() {
        return Object.entries(this.#document.paths).flatMap(([path, item]) =>
            methods.filter((method) => item[method]).map((method) => ({
                id: item[method].operationId,
                method: method.toUpperCase(),
                path,
                parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])].map((one) => this.resolved(one)),
                body: this.resolved(item[method].requestBody)?.content['application/json'].schema,
                responses: item[method].responses,
            })));
    }

    /** What a $ref points to; anything else is returned as it is. */
    resolved(node) {
        let found = node;
        while (found?.$ref)
            found = found.$ref.slice(2).split('/').reduce((at, key) => at[key], this.#document);
        return found;
    }

    /** Returns what is wrong with an answer { status, headers, body (a string) }; empty when it is as described. */
    wrong(operation, answer, { bodyless = false, partial = false } = {}) {
        const { status, headers, body } = answer;
        const response = this.resolved(operation.responses[status] ?? operation.responses.default);
        if (!response || (!operation.responses[status] && status < 400))
            return `status ${status} is not described`;
        for (const [name, header] of Object.entries(response.headers ?? {}))
            if (this.resolved(header).required && headers[name.toLowerCase()] === undefined)
                return `the header ${name} is missing`;
        if ((status === 429 || status === 503) && !/^[0-9]+$/.test(headers['retry-after'] ?? '') && !operation.id.match(/^(health|ready)$/))
            return `${status} without Retry-After`;
        if (status === 405 && !headers.allow)
            return '405 without Allow';
        if (bodyless || status === 304)
            return body.length > 0 ? 'a body where there must be none' : '';
        const type = (headers['content-type'] ?? '').split(';')[0].trim();
        const media = response.content?.[type];
        if (!media)
            return `content type ${type} of ${status} is not described`;
        if (partial)
            return '';
        return this.#wrongBody(operation, status, type, media.schema, body);
    }

    #wrongBody(operation, status, type, schema, body) {
        let value = body;
        if (type === 'application/json')
            try {
                value = JSON.parse(body);
            } catch (error) {
                return `no JSON: ${error.message}`;
            }
        const validate = this.#validator(`${operation.id} ${status} ${type}`, schema);
        return validate(value) ? '' : `${validate.errors[0].instancePath || '/'} ${validate.errors[0].message} ${JSON.stringify(validate.errors[0].params)}`;
    }

    #validator(key, schema) {
        if (!this.#validators.has(key)) {
            // Inlined, so that keys can be forbidden where an object is used as a whole.
            const inlined = (node) => {
                if (Array.isArray(node))
                    return node.map(inlined);
                if (typeof node !== 'object' || node === null)
                    return node;
                return node.$ref ? inlined(this.resolved(node))
                    : Object.fromEntries(Object.entries(node).map(([name, part]) => [name, inlined(part)]));
            };
            this.#validators.set(key, this.#ajv.compile(closed(inlined(schema ?? {}))));
        }
        return this.#validators.get(key);
    }
}

// Dialogs that ask for confirmation or for the token.
import { useToken } from './api.js';
import { el, problem, refill } from './dom.js';

/** Shows a modal dialog; resolves when it is closed. The browser restores the focus. */
function open(dialog) {
    document.body.append(dialog);
    dialog.showModal();
    return new Promise((resolve) => {
        dialog.addEventListener('close', () => {
            dialog.remove();
            resolve(dialog.returnValue);
        });
    });
}

/**
 * Describes an action and calls `act(reason)` on confirmation; returns whether it was done. An error of `act`
 * is shown, and the dialog stays open. `about`: what it is done to, beside the subject.
 */
export async function confirm({ title, what, subject, about, verb, tone, act, waits = 'Working…', withReason = true, fields = [] }) {
    const reason = withReason && el('textarea', { id: 'reason', rows: 2, maxlength: 4096 });
    const yes = el('button', { type: 'submit', class: tone }, verb);
    const no = el('button', { type: 'button', class: 'quiet', onclick: () => dialog.close('') }, 'Cancel');
    const answer = el('div', { class: 'answer' });
    const form = el('form', { method: 'dialog' },
        el('h2', { id: 'dialog-title' }, title),
        about && el('p', { class: 'about' }, about),
        subject && el('p', { class: 'subject' }, subject),
        el('p', { id: 'dialog-what' }, what),
        reason && el('label', { for: 'reason' }, 'Reason ', el('span', { class: 'hint' }, 'kept in the history')),
        reason,
        fields,
        answer,
        el('div', { class: 'buttons' }, no, yes));
    const dialog = el('dialog', { 'aria-labelledby': 'dialog-title', 'aria-describedby': 'dialog-what' }, form);
    form.addEventListener('submit', async (event) => {
        event.preventDefault();
        yes.disabled = true;
        refill(answer, el('p', { role: 'status' }, waits));
        try {
            await act(reason ? reason.value.trim() : '');
            dialog.close('done');
        } catch (error) {
            refill(answer, problem(error));
            yes.disabled = false;
        }
    });
    return (await open(dialog)) === 'done';
}

// Why the token is asked for, by the agent's code.
const reasons = {
    token_invalid: 'The agent does not accept the token: it was mistyped, revoked, or has expired.',
    code_invalid: 'The address was used before, or is older than a minute.',
};

/** Asks for the token and keeps it for this tab; returns whether it was set or cleared. */
export async function askToken(code = '') {
    const input = el('input', { id: 'token-input', type: 'password', autocomplete: 'off', spellcheck: 'false' });
    const form = el('form', { method: 'dialog' },
        el('h2', { id: 'dialog-title' }, 'Token for this agent'),
        reasons[code] && el('p', { role: 'alert', class: 'problem' }, reasons[code]),
        el('p', { id: 'dialog-what' }, 'Kept in this tab until it is closed, and sent only to this agent. Leave it empty to forget it. ',
            'On a host with stagectl, ', el('code', {}, 'stagectl dashboard'), ' opens this page without one.'),
        el('label', { for: 'token-input' }, 'Token'),
        input,
        el('div', { class: 'buttons' },
            el('button', { type: 'button', class: 'quiet', onclick: () => dialog.close('') }, 'Cancel'),
            el('button', { type: 'submit', class: 'go' }, 'Use token')));
    const dialog = el('dialog', { 'aria-labelledby': 'dialog-title', 'aria-describedby': 'dialog-what' }, form);
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        useToken(input.value.trim());
        dialog.close('done');
    });
    return (await open(dialog)) === 'done';
}

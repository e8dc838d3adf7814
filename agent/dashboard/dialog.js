// Questions that are asked before something is done.
import { useToken } from '/dashboard/api.js';
import { el, problem, refill } from '/dashboard/dom.js';

/** Shows a dialog until it is closed; the focus goes back to where it was. */
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
 * Says what will happen and does it when the person agrees: `act(reason)`. What it throws is shown, and the
 * dialog stays. Shape: whether it was done.
 */
export async function confirm({ title, what, subject, verb, tone, act, waits = 'Working…', withReason = true }) {
    const reason = withReason && el('textarea', { id: 'reason', rows: 2, maxlength: 4096 });
    const yes = el('button', { type: 'submit', class: tone }, verb);
    const no = el('button', { type: 'button', class: 'quiet', onclick: () => dialog.close('') }, 'Cancel');
    const answer = el('div', { class: 'answer' });
    const form = el('form', { method: 'dialog' },
        el('h2', { id: 'dialog-title' }, title),
        subject && el('p', { class: 'subject' }, subject),
        el('p', { id: 'dialog-what' }, what),
        reason && el('label', { for: 'reason' }, 'Reason ', el('span', { class: 'hint' }, 'kept in the history')),
        reason,
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

/** Asks for the token and keeps it for this tab. Shape: whether it was given or taken away. */
export async function askToken() {
    const input = el('input', { id: 'token-input', type: 'password', autocomplete: 'off', spellcheck: 'false' });
    const form = el('form', { method: 'dialog' },
        el('h2', { id: 'dialog-title' }, 'Token of this agent'),
        el('p', { id: 'dialog-what' }, 'Kept in this tab until it is closed, and sent to this agent only. Leave it empty to forget it.'),
        el('label', { for: 'token-input' }, 'Token'),
        input,
        el('div', { class: 'buttons' },
            el('button', { type: 'button', class: 'quiet', onclick: () => dialog.close('') }, 'Cancel'),
            el('button', { type: 'submit', class: 'go' }, 'Use it')));
    const dialog = el('dialog', { 'aria-labelledby': 'dialog-title', 'aria-describedby': 'dialog-what' }, form);
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        useToken(input.value.trim());
        dialog.close('done');
    });
    return (await open(dialog)) === 'done';
}

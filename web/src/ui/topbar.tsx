/** The bar above the chat: the model, how full its context is, settings. */

import { draftTokens } from '../draft';
import { begin, choose, chosen, model, models, session, status } from '../state';
import { settingsOpen, sidebarOpen } from './app';
import { IconButton } from './icons';

export function TopBar() {
  return (
    <header class="top">
      <IconButton icon="panel" label={sidebarOpen.value ? 'Hide chats' : 'Show chats'} pressed={sidebarOpen.value} onClick={() => (sidebarOpen.value = !sidebarOpen.value)} />
      <ModelChoice />
      <span class="space" />
      <Context />
      <IconButton icon="pen" label="New chat" onClick={begin} />
      <IconButton icon="sliders" label="Settings" onClick={() => (settingsOpen.value = true)} />
    </header>
  );
}

function ModelChoice() {
  const words = { connecting: 'Connecting…', loading: 'Loading the model…', down: 'The server does not answer', ready: '' }[status.value];
  if (status.value !== 'ready') return <span class="model-name busy">{words}</span>;
  if (models.value.length < 2) return <span class="model-name" title={model.value?.family}>{model.value?.id}</span>;
  return (
    <select class="model-name" aria-label="Model" value={chosen.value ?? model.value?.id ?? ''} onChange={(event) => choose(event.currentTarget.value)}>
      {models.value.map((one) => <option value={one.id} key={one.id}>{one.id}</option>)}
    </select>
  );
}

/** How much of the context the chat and the draft take; what would free some of it. */
function Context() {
  const most = model.value?.max_model_len;
  const last = session.value.chat.value.turns.findLast((turn) => turn.usage.prompt_tokens > 0)?.usage; // one that was cut has no numbers
  const used = (last ? last.prompt_tokens + last.completion_tokens : 0) + draftTokens.value;
  if (!most || used === 0) return null;
  const share = Math.min(1, used / most);
  const media = last ? last.image_tokens + last.audio_tokens + last.video_tokens : 0;
  const freeing = media > used / 2 ? 'Most of it are media: a smaller picture or fewer frames of a clip take less.' : 'A new chat begins empty.';
  const title = `${used.toLocaleString()} of ${most.toLocaleString()} tokens of context${media ? `, ${media.toLocaleString()} of them media` : ''}. ${freeing}`;
  return (
    <span class={share > 0.85 ? 'context full' : 'context'} title={title}>
      <svg width="18" height="18" viewBox="0 0 18 18" aria-hidden="true">
        <circle cx="9" cy="9" r="7" class="ring" />
        <circle cx="9" cy="9" r="7" class="ring used" pathLength={100} stroke-dasharray={`${Math.round(share * 100)} 100`} transform="rotate(-90 9 9)" />
      </svg>
      <span class="context-words">{Math.round(share * 100)}%</span>
      <span class="unseen"> {title}</span>
    </span>
  );
}

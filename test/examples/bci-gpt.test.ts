import { testExample } from './run.js';

testExample('bci-gpt');
